// What a developer writes with LiveKit's own client and nothing of ours: the address of the
// token endpoint is all that this page knows of the service.
import { Room, RoomEvent, TokenSource } from "/livekit-client.esm.mjs";

const seen = { agent: null, subscribed: null, transcript: [], failure: null, left: null };
globalThis.seen = seen;

const room = new Room();
globalThis.hangUp = () => room.disconnect();

room
  .on(RoomEvent.ParticipantConnected, (participant) => {
    if (participant.isAgent) seen.agent = participant.identity;
  })
  .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
    document.body.append(track.attach());
    seen.subscribed = { kind: track.kind, by: participant.identity };
  })
  .on(RoomEvent.Disconnected, (reason) => (seen.left = reason ?? null));

room.registerTextStreamHandler("lk.transcription", async (reader, from) => {
  const text = await reader.readAll();
  seen.transcript.push({ from: from.identity, text });
});

try {
  const wish = JSON.parse(new URLSearchParams(location.search).get("wish"));
  const source = TokenSource.endpoint(new URLSearchParams(location.search).get("endpoint"));
  const { serverUrl, participantToken } = await source.fetch(wish);
  await room.connect(serverUrl, participantToken);
  seen.me = room.localParticipant.identity;
  seen.room = room.name;
  await room.localParticipant.setMicrophoneEnabled(true);
} catch (error) {
  seen.failure = String(error);
}
