/** A session as lines of text, for a ticket or a file. Pure. */

import type { ItemAnswer, LogLine } from "../api/types";
import type { Conversation, Turn } from "./conversation";
import { clock } from "./format";

interface Line {
  readonly at: number;
  readonly name: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

const turnLine = ({ at, ...facts }: Turn): Line => ({ at, name: "turn.completed", facts });

const factOf = (name: string, value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // One line each, whatever a vendor's error says; and no doubt about where a value ends.
  return `${name}=${typeof value === "string" && !/^[\w.:/-]+$/.test(text) ? JSON.stringify(text) : text}`;
};

const factsOf = (facts: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(facts)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => factOf(key, value));

/** What a job has logged, in a line: the time (UTC), how bad it is, the event, and its fields. */
export const logLineOf = ({ at, level, event, fields, attempt }: LogLine): string =>
  [new Date(at * 1000).toISOString(), level, event, ...factsOf({ attempt, ...fields })].join(" ");

/** What happened, a line each: the time (UTC), the event, and its facts. */
export function logOf({ entries, turns }: Conversation): string {
  const lines: Line[] = [
    ...entries.map(({ at, name, data }) => ({ at, name, facts: data })),
    ...turns.map(turnLine),
  ];
  return lines
    .sort((a, b) => a.at - b.at)
    .map(({ at, name, facts }) => [new Date(at * 1000).toISOString(), name, ...factsOf(facts)].join(" "))
    .join("\n");
}

const WHO: Readonly<Record<string, string>> = { user: "User", assistant: "Agent" };

function said(item: ItemAnswer): string {
  const { tool } = item;
  if (tool === null) return `${item.text}${item.interrupted ? " [interrupted]" : ""}`;
  return `${tool.name}(${tool.arguments}) ${tool.isError ? "failed: " : "-> "}${tool.output}`;
}

/** What was said and done, a line each; `since` is when the conversation began. */
export function transcriptOf(items: readonly ItemAnswer[], since: number): string {
  return items
    .map((item) => {
      const who = item.tool === null ? (WHO[item.role] ?? item.role) : "Tool";
      return `[${clock((item.startedAt ?? item.at) - since)}] ${who}: ${said(item)}`;
    })
    .join("\n");
}
