/** A session's events as the service streams them, read with `fetch`: EventSource sends no keys. */

/** A line is one event; a longer one is no event of this service. */
const MAX_PENDING_CHARS = 100_000;

export interface SessionEvent {
  readonly id: string | null;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One block of a stream, without its blank line; null for comments and for what is not ours. */
export function parsed(block: string): SessionEvent | null {
  let id: string | null = null;
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("id:")) id = line.slice(3).trim();
    if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  try {
    const body: unknown = JSON.parse(data);
    if (!isRecord(body) || typeof body["name"] !== "string") return null;
    return { id, name: body["name"], data: isRecord(body["data"]) ? body["data"] : {} };
  } catch {
    return null;
  }
}

/** The events of a stream's body, as they come. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<SessionEvent> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      pending += decoder.decode(value, { stream: true }).replaceAll("\r", "");
      const blocks = pending.split("\n\n");
      pending = (blocks.pop() ?? "").slice(0, MAX_PENDING_CHARS);
      for (const block of blocks) {
        const event = parsed(block);
        if (event !== null) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
