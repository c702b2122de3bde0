/** The transcript as a text to keep. */

import { clock } from "./clock";
import type { Turn } from "./transcript";

/** Lines such as "[0:05] You: What time is it?"; `since` is the page's clock at the beginning. */
export function asText(turns: readonly Turn[], since: number, nameOf: (turn: Turn) => string): string {
  return turns
    .filter((turn) => turn.text.trim() !== "")
    .map((turn) => `[${clock((turn.at - since) / 1000)}] ${nameOf(turn)}: ${turn.text.trim()}\n`)
    .join("");
}

/** Hands a text to the browser as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers fetch it only after the click was handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** "transcript-2025-01-31-1405.txt", in the person's own time. */
export function fileName(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `transcript-${day}-${two(now.getHours())}${two(now.getMinutes())}.txt`;
}
