/** Server-Sent Events from a body that is read by `fetch`, since EventSource can send no key.
 *
 * Source: the HTML standard, "Server-sent events", 9.2.6.
 */

export interface Frame {
  /** The last id that the stream named, this frame's own or an earlier one's; null: none yet. */
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** No event of the service is near this long; a stream without line ends is not kept growing. */
const MAX_LINE_CHARS = 1 << 20;

/** Turns pieces of text, cut anywhere, into frames. Comments only show that the stream lives. */
export class FrameReader {
  /** The last id that was named, also without an event; null: none yet. Resume after it. */
  id: string | null = null;
  #rest = "";
  /** Of the frame that is being read; it counts when the frame is whole. */
  #named: string | null = null;
  #event = "";
  #data: string[] = [];

  /** Raises: RangeError, when a line is longer than any that the service writes. */
  read(text: string): Frame[] {
    const frames: Frame[] = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE_CHARS) throw new RangeError("a line of the stream is too long");
    for (const line of lines) {
      const frame = this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (frame !== null) frames.push(frame);
    }
    return frames;
  }

  #line(line: string): Frame | null {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#named = value;
    return null;
  }

  #finish(): Frame | null {
    this.id = this.#named;
    const event = this.#event || "message";
    const data = this.#data;
    this.#event = "";
    this.#data = [];
    return data.length === 0 ? null : { id: this.id, event, data: data.join("\n") };
  }
}
