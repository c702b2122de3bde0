import { describe, expect, it } from "vitest";
import { MAX_TURN_CHARS, MAX_TURNS, type Reading, Transcript } from "../src/transcript";

const user = (stream: number, text: string, final: boolean, segment = "s1"): Reading => ({
  segment,
  who: "user",
  stream,
  text,
  final,
  at: stream * 1000,
});
const agent = (stream: number, text: string, final: boolean, segment = "a1"): Reading => ({
  segment,
  who: "agent",
  stream,
  text,
  final,
  at: stream * 1000,
});
const said = (transcript: Transcript): (string | boolean)[][] =>
  transcript.turns.map((turn) => [turn.who, turn.text, turn.final]);

describe("the transcript", () => {
  it("lets the streams of one segment replace one another until the final one", () => {
    const transcript = new Transcript();
    transcript.read(user(1, "what", false));
    transcript.read(user(2, "what time", false));
    transcript.read(user(3, "What time is it?", true));
    expect(said(transcript)).toEqual([["user", "What time is it?", true]]);
  });

  it("grows one stream in place", () => {
    const transcript = new Transcript();
    for (const text of ["It ", "It is ", "It is four."]) transcript.read(agent(1, text, false));
    transcript.read(agent(1, "It is four.", true));
    expect(said(transcript)).toEqual([["agent", "It is four.", true]]);
  });

  it("is not set back by a late or repeated stream", () => {
    const transcript = new Transcript();
    transcript.read(user(2, "what time is", false));
    expect(transcript.read(user(1, "what", false))).toBeNull();
    transcript.read(user(3, "What time is it?", true));
    expect(transcript.read(user(4, "what time is it", false))).toBeNull();
    expect(transcript.read(user(3, "What time is it?", true))).toBeNull();
    expect(said(transcript)).toEqual([["user", "What time is it?", true]]);
  });

  it("keeps the order in which turns began, whichever is settled first", () => {
    const transcript = new Transcript();
    transcript.read(user(1, "hello", false));
    transcript.read(agent(2, "Hi!", true));
    transcript.read(user(3, "Hello.", true));
    expect(said(transcript)).toEqual([
      ["user", "Hello.", true],
      ["agent", "Hi!", true],
    ]);
  });

  it("keeps the sides apart even with one segment id", () => {
    const transcript = new Transcript();
    transcript.read(user(1, "mine", true, "same"));
    transcript.read(agent(2, "yours", true, "same"));
    expect(transcript.turns).toHaveLength(2);
  });

  it("shows no empty turn, but lets a turn's text be taken back", () => {
    const transcript = new Transcript();
    expect(transcript.read(user(1, "  ", false))).toBeNull();
    transcript.read(user(2, "uh", false));
    expect(transcript.read(user(3, "", true))?.text).toBe("");
  });

  it("counts adjacent segments of one side as one turn", () => {
    const transcript = new Transcript();
    transcript.read(agent(1, "Hello.", true, "a1"));
    transcript.read(user(2, "Well,", true, "u1"));
    transcript.read(user(3, "hello.", true, "u2"));
    transcript.read(agent(4, "So?", true, "a2"));
    expect(transcript.count).toBe(3);
  });

  it("finds the agent's answers: what it said first after the user, a greeting not counted", () => {
    const transcript = new Transcript();
    transcript.read(agent(1, "Hello.", true, "a1"));
    transcript.read(user(2, "Well,", true, "u1"));
    transcript.read(user(3, "the time?", true, "u2"));
    transcript.read(agent(4, "It is", true, "a2"));
    transcript.read(agent(5, "four.", true, "a3"));
    transcript.read(user(6, "Thanks.", true, "u3"));
    transcript.read(agent(7, "Bye.", true, "a4"));
    expect([1, 2, 3].map((n) => transcript.answer(n)?.text ?? null)).toEqual(["It is", "Bye.", null]);
  });

  it("keeps when a turn began, whatever comes to it later", () => {
    const transcript = new Transcript();
    transcript.read(user(1, "what", false));
    transcript.read(user(3, "What time is it?", true));
    expect(transcript.turns[0]?.at).toBe(1000);
  });

  it("settles what is open when the conversation is over", () => {
    const transcript = new Transcript();
    transcript.read(user(1, "and then", false));
    transcript.read(agent(2, "Done.", true));
    expect(transcript.settle().map((turn) => turn.text)).toEqual(["and then"]);
    expect(transcript.turns.every((turn) => turn.final)).toBe(true);
  });

  it("stays within its bounds", () => {
    const transcript = new Transcript();
    for (let n = 0; n < MAX_TURNS + 5; n += 1) transcript.read(user(n, `turn ${n}`, true, `s${n}`));
    expect(transcript.turns).toHaveLength(MAX_TURNS);
    expect(transcript.turns[0]?.text).toBe("turn 5");
    transcript.read(agent(9999, "x".repeat(MAX_TURN_CHARS * 2), false));
    expect(transcript.turns.at(-1)?.text).toHaveLength(MAX_TURN_CHARS);
  });

  it("drops control characters and the marks that reverse what follows, and keeps the rest", () => {
    const transcript = new Transcript();
    transcript.read(agent(1, "a\u0000b\u001b[2Jc\u202Edcba\u2066!\nזה 😀", true));
    expect(transcript.turns[0]?.text).toBe("ab[2Jcdcba!\nזה 😀");
  });
});
