/** Every state, ending and failure in words that a person understands. Pure. */

import { secondsWords } from "./timings";
import type { MicrophoneTrouble, Place, Problem, State } from "./session";

/** What happened, and what to do about it. */
export interface Words {
  readonly title: string;
  readonly advice: string;
}

const MICROPHONE: Record<MicrophoneTrouble, Words> = {
  refused: {
    title: "The microphone is blocked",
    advice:
      "Allow the microphone for this page: use the icon beside the address, or your browser's settings. Then try again, or type instead.",
  },
  absent: {
    title: "No microphone found",
    advice: "Plug one in or switch it on, then try again. You can also type instead.",
  },
  busy: {
    title: "The microphone is in use",
    advice: "Another program holds it. Close that program or tab, then try again.",
  },
  insecure: {
    title: "This page can't use the microphone here",
    advice:
      "Browsers allow it only over https, or on localhost. Open the page at such an address, or type instead.",
  },
  other: {
    title: "The microphone did not start",
    advice: "Check that it works in another program, then try again. You can also type instead.",
  },
};

const UNREACHABLE: Words = {
  title: "The server does not answer",
  advice: "Check your connection and try again in a moment.",
};
const BUSY_ADVICE = "Try again in a minute.";

const FULL: Words = { title: "Every line is taken", advice: BUSY_ADVICE };
const KEY: Words = {
  title: "This page may not start a conversation",
  advice: "Reload the page. If that does not help, its key is no longer valid: tell whoever runs it.",
};
const NOBODY: Words = {
  title: "No assistant is on duty",
  advice: "The service is up, but nobody works there right now. Try again later.",
};
const NO_AUDIO_SERVER: Words = {
  title: "The audio server does not answer",
  advice: "It usually recovers by itself. Try again in a minute.",
};

/** The service's codes, of docs/api.md. */
const BY_CODE: Record<string, Words> = {
  capacity_exhausted: FULL,
  queue_full: FULL,
  no_worker: NOBODY,
  unauthenticated: KEY,
  forbidden: KEY,
  rate_limited: { title: "Too many tries", advice: "Wait a little, then try again." },
  session_exists: {
    title: "This conversation already exists",
    advice: "Try again: a new one gets a new name.",
  },
  store_unavailable: {
    title: "The server has lost its memory for a moment",
    advice: "It usually recovers by itself. Try again in a minute.",
  },
  livekit_unavailable: NO_AUDIO_SERVER,
  unknown_agent: {
    title: "This assistant does not exist",
    advice: "The page asks for one that is not there: tell whoever runs it.",
  },
  talk_page_off: KEY,
};

const BY_STATUS: Record<number, Words> = {
  401: KEY,
  403: KEY,
  404: { title: "The conversation is gone", advice: "Start a new one." },
  409: BY_CODE["session_exists"] as Words,
  429: BY_CODE["rate_limited"] as Words,
  502: UNREACHABLE,
  503: FULL,
  504: UNREACHABLE,
};

const FAILED: Record<string, Words> = {
  no_worker_registered: NOBODY,
  all_workers_full: { title: "Every assistant is busy", advice: BUSY_ADVICE },
  queue_timeout: { title: "It was not your turn in time", advice: BUSY_ADVICE },
  job_not_accepted: { title: "No assistant took the call", advice: BUSY_ADVICE },
  job_initialization_failed: {
    title: "The assistant could not get ready",
    advice: "Try again. If it happens again, tell whoever runs this service.",
  },
  agent_did_not_join: { title: "The assistant did not come", advice: "Try again in a moment." },
  agent_lost: { title: "The assistant was lost", advice: "Try again in a moment." },
  livekit_unreachable: NO_AUDIO_SERVER,
};

const seconds = (count: number): string => {
  const whole = Math.ceil(count);
  if (whole > 90) return `${Math.ceil(whole / 60)} minutes`;
  return whole === 1 ? "a second" : `${whole} seconds`;
};

function refused(problem: Extract<Problem, { kind: "refused" }>): Words {
  const known =
    (problem.code === null ? undefined : BY_CODE[problem.code]) ??
    // The service's own words are better than ours for a code that we do not know.
    (problem.detail === null ? BY_STATUS[problem.status] : undefined);
  const words: Words = known ?? {
    title: "The server said no",
    advice: problem.detail ?? `It gave no reason (error ${problem.status}). Try again in a moment.`,
  };
  if (problem.retryAfterS === null) return words;
  return { ...words, advice: `Try again in ${seconds(problem.retryAfterS)}.` };
}

/** Says what went wrong. Text of the server inside it is still only text: never put it in markup. */
export function problemWords(problem: Problem): Words {
  switch (problem.kind) {
    case "microphone":
      return MICROPHONE[problem.why];
    case "refused":
      return refused(problem);
    case "unreachable":
      return UNREACHABLE;
    case "media":
      return {
        title: "The call did not connect",
        advice: "A firewall or VPN may be in the way. Try another network, or try again in a moment.",
      };
    case "failed": {
      const known = problem.reason === null ? undefined : FAILED[problem.reason];
      const fallback = problem.detail ?? "Try again in a moment.";
      return known ?? { title: "The conversation could not start", advice: fallback };
    }
    case "late":
      return {
        title: "The assistant did not come in time",
        advice: `Nobody joined within ${seconds(problem.afterS)}. Try again in a moment.`,
      };
    case "lost":
      return {
        title: "The connection was lost",
        advice: "It did not come back in time. Check your network, then start a new conversation.",
      };
    case "unsupported":
      return {
        title: "This browser can't make calls",
        advice: "Use a current Chrome, Edge, Firefox or Safari.",
      };
    case "unknown":
      return { title: "Something went wrong", advice: "Reload the page and try again." };
  }
}

const ENDED: Record<string, string> = {
  user_requested: "You ended the conversation.",
  user_left: "You left the conversation.",
  user_never_joined: "The conversation closed before you joined.",
  session_timeout: "The conversation reached its time limit.",
  max_duration: "The conversation reached its time limit.",
  inactivity: "The conversation closed because nobody spoke for a while.",
  user_away: "The conversation closed because you did not answer for a while.",
  budget: "The conversation reached its limit of use.",
  no_answer: "The assistant could not answer, so the conversation was closed. Please try again.",
  room_deleted: "The conversation was closed by the service.",
  agent_ended: "The assistant ended the conversation.",
  error: "The conversation stopped because of an error in the service.",
};

/** Says why a conversation is over; null is an ending without a reason. */
export const endWords = (reason: string | null): string =>
  (reason === null ? undefined : ENDED[reason]) ?? "The conversation is over.";

/** A length of time for people: "48 s", "2 min 5 s", "1 h 3 min". */
export function durationWords(lengthS: number): string {
  const whole = Math.round(lengthS);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export interface Figure {
  readonly name: string;
  readonly value: string;
}

/** What an ended conversation comes to; nothing where it never began. */
export function figures(state: State, turns: number, median: number | null): Figure[] {
  if (state.lasted === null) return [];
  const length = { name: "Duration", value: durationWords(state.lasted) };
  const count = { name: turns === 1 ? "Turn" : "Turns", value: String(turns) };
  const typical = median === null ? [] : [{ name: "Typical response", value: secondsWords(median) }];
  return [length, count, ...typical];
}

/** A wait that is only an estimate: "a few seconds", "about 40 seconds", "about 3 minutes". */
export function waitWords(waitS: number): string {
  if (waitS < 8) return "a few seconds";
  if (waitS < 95) return `about ${Math.ceil(waitS / 10) * 10} seconds`;
  const minutes = Math.round(waitS / 60);
  return `about ${Math.max(2, minutes)} minutes`;
}

/** Where somebody stands in line, and how long it will probably take. */
export function placeWords(place: Place): string {
  const where =
    place.position === null
      ? "You are in line"
      : place.position === 1
        ? "You are next in line"
        : `You are number ${place.position} in line`;
  return place.waitS === null ? `${where}…` : `${where}: ${waitWords(place.waitS)}`;
}

/** The one line that says what is going on right now. */
export function statusWords(state: State): string {
  if (state.reconnecting) return "Connection lost. Reconnecting…";
  switch (state.phase) {
    case "idle":
      return "Ready when you are";
    case "connecting":
      return "Connecting…";
    case "waiting":
      if (state.agentLost) return "The assistant dropped out. Getting it back…";
      return state.place === null ? "Waiting for the assistant…" : placeWords(state.place);
    case "listening":
      if (!state.microphone) return "Waiting for your message";
      return state.muted ? "You are muted" : "Listening";
    case "thinking":
      return "Thinking…";
    case "speaking":
      return "Speaking";
    case "ended":
      return "Conversation over";
    case "error":
      return "Not connected";
  }
}
