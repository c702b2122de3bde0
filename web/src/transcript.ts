/** What was said, merged from text streams. Pure: no DOM, no clock. */

/** Older turns are dropped beyond this, so that an endless conversation cannot fill the memory. */
export const MAX_TURNS = 400;
/** No real utterance is longer; a stream that is gets cut. */
export const MAX_TURN_CHARS = 12_000;

export type Who = "user" | "agent";

export interface Turn {
  readonly id: string;
  readonly who: Who;
  readonly text: string;
  readonly final: boolean;
  /** Milliseconds of the page's clock when its first words came. */
  readonly at: number;
}

/**
 * One reading of one stream: all the text that it has carried so far.
 *
 * Two ways of writing are in use. The user's words come as many short streams with one segment
 * id, each replacing the one before; the agent's as one long stream that grows. Both are the same
 * here: the newest stream of a segment says what the segment's text is.
 */
export interface Reading {
  readonly segment: string;
  readonly who: Who;
  /** Counts streams in the order of their arrival; tells a late reading from a new one. */
  readonly stream: number;
  readonly text: string;
  readonly final: boolean;
  readonly at: number;
}

interface Entry {
  readonly turn: Turn;
  readonly stream: number;
}

const FORBIDDEN = /[\u0000-\u0008\u000B-\u001F\u007F\u202A-\u202E\u2066-\u2069]/g;

/**
 * Text as it may be shown: without control characters and without the marks that reverse the
 * direction of what follows, with which a text can be made to look like another one.
 */
export const printable = (text: string): string => text.replace(FORBIDDEN, "").slice(0, MAX_TURN_CHARS);

export class Transcript {
  #entries = new Map<string, Entry>();

  get turns(): readonly Turn[] {
    return Array.from(this.#entries.values(), (entry) => entry.turn);
  }

  /** How many turns were really said: one side's adjacent segments are one turn. */
  get count(): number {
    let count = 0;
    let before: Who | null = null;
    for (const { turn } of this.#entries.values()) {
      if (turn.who !== before) count += 1;
      before = turn.who;
    }
    return count;
  }

  /**
   * The agent's n-th answer, from 1: what it said first after the user spoke. A greeting is no
   * answer. Null: there is none.
   */
  answer(number: number): Turn | null {
    let count = 0;
    let before: Who | null = null;
    for (const { turn } of this.#entries.values()) {
      if (turn.who === "agent" && before === "user") count += 1;
      if (count === number) return turn;
      before = turn.who;
    }
    return null;
  }

  /** Takes a reading in; returns the changed turn, or null when it changes nothing. */
  read(reading: Reading): Turn | null {
    const id = `${reading.who}:${reading.segment}`;
    const known = this.#entries.get(id);
    if (known !== undefined) {
      if (reading.stream < known.stream) return null;
      // What was final stays so; a repeat of the same stream has nothing to add to it.
      if (known.turn.final && !reading.final) return null;
    }
    const text = printable(reading.text);
    if (text.trim() === "" && known === undefined) return null;
    const at = known?.turn.at ?? reading.at;
    const turn: Turn = { id, who: reading.who, text, final: reading.final, at };
    if (known !== undefined && known.turn.text === text && known.turn.final === turn.final) return null;
    this.#entries.set(id, { turn, stream: reading.stream });
    this.#forgetOldest();
    return turn;
  }

  /** Settles every turn that is still open, for a conversation that is over. */
  settle(): Turn[] {
    const open = Array.from(this.#entries.entries()).filter(([, entry]) => !entry.turn.final);
    return open.map(([id, entry]) => {
      const turn = { ...entry.turn, final: true };
      this.#entries.set(id, { ...entry, turn });
      return turn;
    });
  }

  clear(): void {
    this.#entries.clear();
  }

  #forgetOldest(): void {
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= MAX_TURNS) return;
      this.#entries.delete(id);
    }
  }
}
