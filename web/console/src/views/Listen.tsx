/** Hears a session, unseen by those in it. */

import {
  RoomAudioRenderer,
  RoomContext,
  StartAudio,
  useConnectionState,
  useTracks,
  useTrackVolume,
} from "@livekit/components-react";
import { ConnectionState, ParticipantKind, type RemoteAudioTrack, Room, Track } from "livekit-client";
import { type ReactNode, useEffect, useState } from "react";
import type { ListenAnswer } from "../api/types";
import { useConsole } from "../live/hooks";
import { Trouble } from "../parts/small";

export default function Listen({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { client } = useConsole();
  const [room] = useState(() => new Room());
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let left = false;
    client
      .post<ListenAnswer>(`/api/sessions/${sessionId}/listen`)
      .then(async ({ token, url }) => {
        if (!left) await room.connect(url, token);
        if (left) await room.disconnect();
      })
      .catch((reason: unknown) => {
        if (!left) setError(reason);
      });
    return () => {
      left = true;
      void room.disconnect();
    };
  }, [client, room, sessionId]);
  if (error !== null) return <Trouble error={error} />;
  return (
    <RoomContext.Provider value={room}>
      <RoomAudioRenderer />
      <Voices />
    </RoomContext.Provider>
  );
}

const STATES: Readonly<Record<ConnectionState, string>> = {
  [ConnectionState.Connecting]: "Joining the room",
  [ConnectionState.Connected]: "You hear both; neither hears nor sees you",
  [ConnectionState.Reconnecting]: "The connection is being mended",
  [ConnectionState.SignalReconnecting]: "The connection is being mended",
  [ConnectionState.Disconnected]: "Not connected",
};

function Voices(): ReactNode {
  const state = useConnectionState();
  const tracks = useTracks([Track.Source.Microphone, Track.Source.Unknown]);
  return (
    <div className="listening">
      <p role="status">{STATES[state]}</p>
      {tracks.map(({ participant, publication }) => (
        <Voice
          key={publication.trackSid}
          who={participant.kind === ParticipantKind.AGENT ? "assistant" : "user"}
          track={publication.track as RemoteAudioTrack | undefined}
        />
      ))}
      <StartAudio label="Turn the sound on" className="button" />
    </div>
  );
}

interface VoiceProps {
  readonly who: "assistant" | "user";
  readonly track: RemoteAudioTrack | undefined;
}

function Voice({ who, track }: VoiceProps): ReactNode {
  const volume = useTrackVolume(track);
  return (
    <span className="voice" data-who={who}>
      {who === "user" ? "User" : "Agent"}
      <span className="voice-level" aria-hidden="true">
        <i style={{ width: `${Math.min(volume, 1) * 100}%` }} />
      </span>
    </span>
  );
}
