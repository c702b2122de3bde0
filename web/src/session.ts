/** The state of one conversation, as a pure function of what happened. No I/O. */

export type Phase =
  | "idle"
  | "connecting"
  | "waiting"
  | "listening"
  | "thinking"
  | "speaking"
  | "ended"
  | "error";

/** What went wrong, in the page's own words-free form; `words.ts` says it to a person. */
export type Problem =
  | { readonly kind: "microphone"; readonly why: MicrophoneTrouble }
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly code: string | null;
      readonly detail: string | null;
      readonly retryAfterS: number | null;
    }
  | { readonly kind: "unreachable" }
  | { readonly kind: "media" }
  | { readonly kind: "failed"; readonly reason: string | null; readonly detail: string | null }
  | { readonly kind: "late"; readonly afterS: number }
  | { readonly kind: "lost" }
  | { readonly kind: "unsupported" }
  | { readonly kind: "unknown" };

export type MicrophoneTrouble = "refused" | "absent" | "busy" | "insecure" | "other";

/** A place in line; null: the service does not know. */
export interface Place {
  /** From 1. */
  readonly position: number | null;
  readonly waitS: number | null;
}

export interface State {
  readonly phase: Phase;
  /** The media connection broke and is being restored; `phase` keeps what came before. */
  readonly reconnecting: boolean;
  /** Every agent is busy and the session stands in line; null: it does not. */
  readonly place: Place | null;
  /** The agent left a running session, and another one is being brought. */
  readonly agentLost: boolean;
  readonly muted: boolean;
  /** False when the person chose to type only. */
  readonly microphone: boolean;
  /** Milliseconds of the page's clock when the agent was first there; null before. */
  readonly since: number | null;
  /** How long the conversation lasted, in seconds; null until it is over or if it never began. */
  readonly lasted: number | null;
  readonly problem: Problem | null;
  readonly endReason: string | null;
}

export type Event =
  | { readonly type: "start"; readonly microphone: boolean }
  | { readonly type: "connected" }
  | { readonly type: "placed"; readonly place: Place | null }
  | { readonly type: "agent"; readonly state: string | null; readonly at: number }
  | { readonly type: "agentLeft" }
  | { readonly type: "reconnecting" }
  | { readonly type: "reconnected" }
  | { readonly type: "muted"; readonly muted: boolean }
  | { readonly type: "ended"; readonly reason: string | null; readonly at: number }
  | { readonly type: "failed"; readonly problem: Problem; readonly at: number };

export const IDLE: State = {
  phase: "idle",
  reconnecting: false,
  place: null,
  agentLost: false,
  muted: false,
  microphone: true,
  since: null,
  lasted: null,
  problem: null,
  endReason: null,
};

/** True from the click on start until the conversation is over. */
export const live = (state: State): boolean =>
  state.phase !== "idle" && state.phase !== "ended" && state.phase !== "error";

/** True while there is an agent to hear and to write to. */
export const attended = (state: State): boolean =>
  state.phase === "listening" || state.phase === "thinking" || state.phase === "speaking";

/**
 * The phase for the agent's own word for its state.
 *
 * Source: the agent SDK's `AgentState`: initializing, idle, listening, thinking, speaking. An
 * agent is in the room but cannot hear yet while it initializes; null is an agent without the
 * attribute, which is taken the same way.
 */
function agentPhase(agent: string | null, before: Phase): Phase {
  switch (agent) {
    case "listening":
    case "thinking":
    case "speaking":
      return agent;
    case "idle":
      return "listening";
    default:
      return before === "connecting" ? "waiting" : before;
  }
}

const samePlace = (one: Place | null, other: Place | null): boolean =>
  one?.position === other?.position && one?.waitS === other?.waitS;

const lasted = (state: State, at: number): number | null =>
  state.since === null ? null : Math.max(0, (at - state.since) / 1000);

/** The state after `event`; an event that no longer applies leaves it as it was. */
export function next(state: State, event: Event): State {
  if (event.type === "start") {
    if (live(state)) return state;
    return { ...IDLE, phase: "connecting", microphone: event.microphone };
  }
  if (!live(state)) return state;
  switch (event.type) {
    case "connected":
      return state.phase === "connecting" ? { ...state, phase: "waiting" } : state;
    case "placed":
      return attended(state) || samePlace(state.place, event.place)
        ? state
        : { ...state, place: event.place };
    case "agent": {
      const phase = agentPhase(event.state, state.phase);
      const since = state.since ?? event.at;
      return { ...state, phase, since, place: null, agentLost: false };
    }
    case "agentLeft":
      return { ...state, phase: "waiting", agentLost: true };
    case "reconnecting":
      return { ...state, reconnecting: true };
    case "reconnected":
      return { ...state, reconnecting: false };
    case "muted":
      return { ...state, muted: event.muted };
    case "ended":
      return over(state, { phase: "ended", endReason: event.reason, lasted: lasted(state, event.at) });
    case "failed":
      return over(state, { phase: "error", problem: event.problem, lasted: lasted(state, event.at) });
  }
}

/** What the service keeps of a session, as far as it tells how the session ended. */
export interface Ending {
  readonly status: string;
  readonly reason: string | null;
  readonly detail: string | null;
}

/** What a page that has not ended its session makes of the service's word; null: it goes on. */
export function conclusion(ending: Ending, at: number): Event | null {
  const { status, reason, detail } = ending;
  if (status === "failed") return { type: "failed", problem: { kind: "failed", reason, detail }, at };
  if (status !== "ended") return null;
  // Who is still here has not left: it is the connection that did.
  if (reason === "user_left") return { type: "failed", problem: { kind: "lost" }, at };
  return { type: "ended", reason, at };
}

const over = (state: State, how: Partial<State>): State => ({
  ...state,
  reconnecting: false,
  place: null,
  agentLost: false,
  ...how,
});
