/** One conversation: the calls, the room, the microphone and the agent's voice. All the I/O. */

import {
  DisconnectReason,
  isBrowserSupported,
  type LocalAudioTrack,
  type Participant,
  type RemoteTrack,
  Room,
  RoomEvent,
  setLogLevel,
  type TextStreamReader,
  Track,
} from "livekit-client";
import type { Choice, Grant, SessionAnswer, SessionApi, StartAnswer } from "./api";
import type { Sound } from "./devices";
import type { SessionEvent } from "./events";
import { microphoneAllowed, openMicrophone } from "./microphone";
import { Patience } from "./patience";
import { conclusion, type Event, type Problem } from "./session";
import { Speaker } from "./speaker";
import { MAX_TURN_CHARS, printable, type Reading, type Who } from "./transcript";
import { asProblem, MediaError } from "./troubles";

/** Source: the agent SDK's `types.py`. */
const AGENT_STATE = "lk.agent.state";
/** Of our worker, once the conversation was handed over: whose voice it is now. */
const AGENT_TITLE = "assistant.title";
const TRANSCRIPTION_TOPIC = "lk.transcription";
const TRANSCRIPTION_FINAL = "lk.transcription_final";
/** What a worker plays when no answer comes. */
const APOLOGY_TRACK = "apology";
const SEGMENT_ID = "lk.segment_id";
const CHAT_TOPIC = "lk.chat";

/** How often the session is asked about while its agent is awaited. */
const POLL_S = 1;
/** After a disconnect the record may need a moment to say why; then the page says what it knows. */
const EXPLAIN_TRIES = 3;
const EXPLAIN_PAUSE_S = 0.6;
/** How often a stream of events that broke is taken up again, and after which pause. */
const FOLLOW_TRIES = 20;
const FOLLOW_PAUSE_S = 2;

// At its default level the client writes participants' names and attributes into the console.
setLogLevel("warn");

/** The client drops the last slice when the recording stops, so a slice is kept short. */
const PRE_CONNECT_SLICE_MS = 40;

const sleep = (durationS: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, durationS * 1000));

/** What the conversation tells the page. */
export interface Hooks {
  event(event: Event): void;
  reading(reading: Reading): void;
  /** Another agent has the conversation, and this is what it is called. */
  named(title: string): void;
  voice(who: Who, track: MediaStreamTrack | null): void;
  /** The browser lets no sound out until the person clicks again. */
  soundBlocked(blocked: boolean): void;
  /** The microphone runs, so the browser now names the devices. */
  devicesKnown(): void;
}

export class Conversation {
  readonly #room: Room;
  readonly #speaker: Speaker;
  readonly #abort = new AbortController();
  #microphone: LocalAudioTrack | null = null;
  #muted = false;
  #closed = false;
  #starting: Promise<StartAnswer> | null = null;
  #joined = false;
  #awaiting = false;
  #streams = 0;

  constructor(
    private readonly api: SessionApi,
    private readonly startTimeoutS: number,
    private readonly sound: Sound,
    private readonly hooks: Hooks,
  ) {
    this.#speaker = new Speaker(sound.volume);
    this.#room = new Room({
      disconnectOnPageLeave: true,
      ...(sound.speaker === null ? {} : { audioOutput: { deviceId: sound.speaker } }),
    });
    this.#room.registerTextStreamHandler(TRANSCRIPTION_TOPIC, (reader, from) => {
      void this.#readStream(reader, from.identity);
    });
    this.#room
      .on(RoomEvent.ParticipantConnected, (participant) => this.#seen(participant))
      .on(RoomEvent.ParticipantAttributesChanged, (_, participant) => this.#seen(participant))
      .on(RoomEvent.ParticipantDisconnected, (participant) => this.#left(participant))
      .on(RoomEvent.TrackSubscribed, (track, publication) => this.#hear(track, publication.trackName))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#unhear(track))
      .on(RoomEvent.SignalReconnecting, () => this.#tell({ type: "reconnecting" }))
      .on(RoomEvent.Reconnecting, () => this.#tell({ type: "reconnecting" }))
      .on(RoomEvent.Reconnected, () => this.#tell({ type: "reconnected" }))
      .on(RoomEvent.Disconnected, (reason) => void this.#explain(reason))
      .on(RoomEvent.AudioPlaybackStatusChanged, () =>
        this.hooks.soundBlocked(!this.#closed && !this.#room.canPlaybackAudio),
      );
  }

  /** Must be called within a click. Resolves when connected or failed; never rejects. */
  async start(choice: Choice, microphone: boolean): Promise<void> {
    if (!isBrowserSupported()) return this.#fail({ kind: "unsupported" });
    // An agent is called only for somebody who can talk to it: while the browser still asks for the
    // microphone, the session waits. Where nothing is asked, the agent is called before all else,
    // since it takes longer to come than the page takes to connect.
    const called = !microphone || microphoneAllowed() ? this.#callAgent(choice, true) : null;
    this.unlockSound();
    const opened = microphone ? this.#openMicrophone() : Promise.resolve();
    // Both are awaited below, but another step may fail first.
    called?.catch(() => undefined);
    opened.catch(() => undefined);
    try {
      const granted = await called;
      if (this.#closed) return;
      const [grant] = await Promise.all([
        granted ?? this.api.token(this.#abort.signal),
        called ?? opened,
      ]);
      if (this.#closed) return;
      await Promise.all([
        called ?? this.#callAgent(choice, false),
        this.#connect(grant),
        // Publishing waits for the room by itself and then shares its first negotiation.
        opened.then(() => this.#publish()),
      ]);
    } catch (error) {
      if (!this.#closed) this.#fail(asProblem(error));
    }
  }

  /** Ends by the person's wish. The page need not wait for the service to agree. */
  end(): void {
    if (this.#closed) return;
    this.#over({ type: "ended", reason: "user_requested", at: performance.now() });
    void this.#endSession("user_requested");
  }

  /** Ends because the page goes away. */
  abandon(): void {
    if (this.#closed) return;
    if (this.#starting !== null) this.api.endAtUnload("user_left");
    this.#over({ type: "ended", reason: "user_left", at: performance.now() });
  }

  async mute(muted: boolean): Promise<void> {
    this.#muted = muted;
    if (muted) await this.#microphone?.mute();
    else await this.#microphone?.unmute();
    this.#tell({ type: "muted", muted });
  }

  /** Sends a typed message. Raises: the client's own error when it could not be sent. */
  async say(text: string): Promise<void> {
    await this.#room.localParticipant.sendText(text, { topic: CHAT_TOPIC });
  }

  /** Lets the agent be heard; browsers allow it within a click. */
  unlockSound(): void {
    this.#room.startAudio().catch(() => undefined); // Told by AudioPlaybackStatusChanged.
  }

  setVolume(volume: number): void {
    this.#speaker.setVolume(volume);
  }

  /** Listens by another microphone. Raises: the browser's own error when it cannot be had. */
  async useMicrophone(id: string): Promise<void> {
    const track = this.#microphone;
    if (track === null) return;
    await track.setDeviceId({ exact: id });
    if (!this.#closed) this.hooks.voice("user", track.mediaStreamTrack);
  }

  /** Speaks by another speaker. Raises: the browser's own error when it cannot be had. */
  async useSpeaker(id: string): Promise<void> {
    await this.#room.switchActiveDevice("audiooutput", id);
  }

  /** Tells every event of the session from its first one, until `signal` or the conversation ends. */
  async follow(tell: (event: SessionEvent) => void, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#abort.signal]);
    let last: string | null = null;
    for (let attempt = 1; attempt <= FOLLOW_TRIES && !either.aborted; attempt += 1) {
      try {
        for await (const event of this.api.events(last, either)) {
          last = event.id ?? last;
          tell(event);
        }
      } catch {
        // Figures are an extra: a stream that cannot be had is asked for again, and then left out.
      }
      await sleep(FOLLOW_PAUSE_S);
    }
  }

  async #openMicrophone(): Promise<void> {
    const track = await openMicrophone(this.sound.microphone);
    if (this.#closed) {
      track.stop();
      return;
    }
    this.#microphone = track;
    // Recorded from now on and handed to the agent when it comes, so the first words are not lost.
    track.startPreConnectBuffer(PRE_CONNECT_SLICE_MS);
    if (this.#muted) await track.mute();
    this.hooks.voice("user", track.mediaStreamTrack);
    this.hooks.devicesKnown();
  }

  /** Resolves to what opens the room, if it was asked for along with the agent, and could be had. */
  async #callAgent(choice: Choice, withToken: boolean): Promise<Grant | null> {
    // Not aborted by an early end, which has to show the key that the answer may bring.
    this.#starting = this.api.start(choice, withToken);
    const { place, grant } = await this.#starting;
    this.#tell({ type: "placed", place });
    void this.#awaitAgent();
    return grant;
  }

  async #connect({ url, token }: Grant): Promise<void> {
    try {
      await this.#room.connect(url, token);
    } catch (error) {
      throw new MediaError("the room did not open", { cause: error });
    }
    if (this.#closed) return;
    this.#joined = true;
    this.#tell({ type: "connected" });
    for (const participant of this.#room.remoteParticipants.values()) this.#seen(participant);
  }

  async #publish(): Promise<void> {
    const track = this.#microphone;
    if (track === null || this.#closed) return;
    try {
      await this.#room.localParticipant.publishTrack(track, { source: Track.Source.Microphone });
    } catch (error) {
      if (!this.#closed) throw new MediaError("the microphone was not published", { cause: error });
    }
  }

  get #agentHere(): boolean {
    return Array.from(this.#room.remoteParticipants.values()).some((each) => each.isAgent);
  }

  #seen(participant: Participant): void {
    if (!participant.isAgent || participant.isLocal) return;
    const state = participant.attributes[AGENT_STATE] ?? null;
    const title = printable(participant.attributes[AGENT_TITLE] ?? "");
    if (title !== "" && !this.#closed) this.hooks.named(title);
    this.#tell({ type: "agent", state, at: performance.now() });
  }

  #left(participant: Participant): void {
    if (!participant.isAgent || this.#agentHere) return;
    this.#tell({ type: "agentLeft" });
    void this.#awaitAgent();
  }

  /** Watches the session until an agent is in the room, or the service says that none will be. */
  async #awaitAgent(): Promise<void> {
    if (this.#awaiting) return;
    this.#awaiting = true;
    const patience = new Patience(this.startTimeoutS, performance.now());
    try {
      while (!this.#closed && !this.#agentHere) {
        await sleep(POLL_S);
        if (this.#closed || this.#agentHere) return;
        const session = await this.#ask(patience);
        if (session !== null) {
          if (this.#concluded(session)) return;
          this.#tell({ type: "placed", place: session.place });
        }
        const problem = patience.exhausted(performance.now());
        if (problem !== null) return this.#fail(problem);
      }
    } finally {
      this.#awaiting = false;
    }
  }

  /** The session's record; null when it cannot be had now, which alone is no reason to stop. */
  async #ask(patience?: Patience): Promise<SessionAnswer | null> {
    try {
      const session = await this.api.status(this.#abort.signal);
      patience?.answered(session.place, performance.now());
      return session;
    } catch (error) {
      patience?.unanswered(asProblem(error), performance.now());
      return null;
    }
  }

  /** Closes by what the record says, if it says that the session is over. */
  #concluded(session: SessionAnswer): boolean {
    if (this.#closed) return true;
    const event = conclusion(session, performance.now());
    if (event?.type === "failed") this.#fail(event.problem);
    else if (event !== null) this.#over(event);
    return event !== null;
  }

  /** The room is gone: asks the service why, and else says what the media server said. */
  async #explain(reason: DisconnectReason | undefined): Promise<void> {
    // A room that never opened is told by the failing connect itself.
    if (this.#closed || !this.#joined) return;
    this.#tell({ type: "reconnecting" });
    for (let attempt = 1; attempt <= EXPLAIN_TRIES; attempt += 1) {
      const session = await this.#ask();
      if (this.#closed || (session !== null && this.#concluded(session))) return;
      if (attempt < EXPLAIN_TRIES) await sleep(EXPLAIN_PAUSE_S);
    }
    if (this.#closed) return;
    const at = performance.now();
    if (reason === DisconnectReason.ROOM_DELETED || reason === DisconnectReason.ROOM_CLOSED) {
      this.#over({ type: "ended", reason: "room_deleted", at });
    } else if (reason === DisconnectReason.PARTICIPANT_REMOVED) {
      this.#over({ type: "ended", reason: null, at });
    } else {
      this.#fail({ kind: "lost" });
    }
  }

  #hear(track: RemoteTrack, name: string): void {
    if (track.kind !== Track.Kind.Audio) return;
    this.#speaker.add(track);
    // The agent goes on speaking on its own track.
    if (name !== APOLOGY_TRACK) this.hooks.voice("agent", track.mediaStreamTrack);
  }

  #unhear(track: RemoteTrack): void {
    this.#speaker.remove(track);
    if (track.kind === Track.Kind.Audio && this.#speaker.silent) this.hooks.voice("agent", null);
  }

  /** Reads one stream of a segment's text, telling each growth of it. */
  async #readStream(reader: TextStreamReader, sender: string): Promise<void> {
    this.#streams += 1;
    const stream = this.#streams;
    const who: Who = sender === this.#room.localParticipant.identity ? "user" : "agent";
    const segment = reader.info.attributes?.[SEGMENT_ID] ?? reader.info.id;
    const at = performance.now();
    let text = "";
    let broken = false;
    try {
      for await (const piece of reader) {
        text = (text + piece).slice(0, MAX_TURN_CHARS);
        if (!this.#closed) this.hooks.reading({ segment, who, stream, text, final: false, at });
      }
    } catch {
      broken = true; // The sender left in the middle; what came is all that will come.
    }
    // A stream's last attributes come with its end, and may differ from those of its beginning.
    const final = broken || reader.info.attributes?.[TRANSCRIPTION_FINAL] === "true";
    if (!this.#closed) this.hooks.reading({ segment, who, stream, text, final, at });
  }

  #tell(event: Event): void {
    if (!this.#closed) this.hooks.event(event);
  }

  #fail(problem: Problem): void {
    if (this.#closed) return;
    this.#over({ type: "failed", problem, at: performance.now() });
    void this.#endSession("user_left");
  }

  /** Closes everything on this side, once, and says how it ended. */
  #over(event: Event): void {
    this.#tell(event);
    this.#closed = true;
    this.#abort.abort();
    this.hooks.voice("user", null);
    this.hooks.voice("agent", null);
    this.hooks.soundBlocked(false);
    this.#microphone?.stop();
    this.#speaker.clear();
    void this.#room.disconnect();
  }

  async #endSession(reason: string): Promise<void> {
    if (this.#starting === null) return;
    try {
      await this.#starting.catch(() => null);
      await this.api.end(reason);
    } catch {
      // The service closes an abandoned session by itself; there is nothing more to do here.
    }
  }
}
