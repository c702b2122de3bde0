/** What the wait for an answer was made of. Pure. */

import type { Turn } from "./conversation";

export type Part = "transcription" | "endOfTurn" | "llm" | "tts" | "other";

export interface Segment {
  readonly part: Part;
  readonly seconds: number;
}

export interface Wait {
  readonly segments: readonly Segment[];
  /** From the user's last sound to the agent's first; null: nobody measured. */
  readonly totalS: number | null;
  /** How much of the parts ran at the same time, as when the model begins before the turn is over. */
  readonly overlapS: number;
}

export const PARTS: readonly { readonly part: Part; readonly label: string }[] = [
  { part: "transcription", label: "transcribing" },
  { part: "endOfTurn", label: "is the turn over?" },
  { part: "llm", label: "model" },
  { part: "tts", label: "voice" },
  { part: "other", label: "the rest" },
];

/** Below this a rest is rounding, not a part. */
const SMALLEST_S = 0.005;

/** `end_of_turn_delay` holds the transcription in it: both are counted from the end of speech. */
export function waitOf(turn: Turn): Wait {
  const segments: Segment[] = [];
  const put = (part: Part, seconds: number | null): void => {
    if (seconds !== null && seconds > 0) segments.push({ part, seconds });
  };
  const { transcriptionDelayS: heard, endOfTurnDelayS: decided } = turn;
  const first = heard !== null && decided !== null ? Math.min(heard, decided) : heard;
  put("transcription", first);
  put("endOfTurn", decided === null ? null : decided - (first ?? 0));
  put("llm", turn.llmTtftS);
  put("tts", turn.ttsTtfbS);
  const known = segments.reduce((sum, segment) => sum + segment.seconds, 0);
  const total = turn.e2eLatencyS;
  if (total === null) return { segments, totalS: null, overlapS: 0 };
  const rest = total - known;
  if (rest >= SMALLEST_S) segments.push({ part: "other", seconds: rest });
  return { segments, totalS: total, overlapS: rest <= -SMALLEST_S ? -rest : 0 };
}
