/** Numbers and times as they are shown. Pure. */

export const NOTHING = "–";

/** `0.42 s`, `12.3 s`, `4:05`, `1:02:03`; null: a dash. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 10) return `${seconds.toFixed(2)}\u00a0s`;
  if (seconds < 60) return `${seconds.toFixed(1)}\u00a0s`;
  return clock(seconds);
}

/** `0:07`, `4:05`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(Math.floor(seconds), 0);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  if (hours > 0) return `${hours}:${parts.join(":")}`;
  return `${Number(parts[0])}:${parts[1] ?? "00"}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** `14:03:22` today, `3 Nov 14:03:22` otherwise. */
export function moment(at: number, now: number): string {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now * 1000).toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)} ${TIME.format(date)}`;
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(0)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

export const count = (value: number): string => value.toLocaleString("en-US");

/** `agent_did_not_join` as `agent did not join`. */
export const words = (code: string): string => code.replaceAll("_", " ");

export function money(value: number | null | undefined, currency: string | null | undefined): string {
  if (value === null || value === undefined) return "unknown";
  return `${value.toFixed(4)} ${currency ?? ""}`.trim();
}
