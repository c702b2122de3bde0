import { beforeEach, describe, expect, it } from "vitest";
import page from "../index.html?raw";
import type { AgentChoice } from "../src/api";
import { IDLE, next, type State } from "../src/session";
import { View } from "../src/view";

const HOSTILE = `<img src=x onerror="window.pwned = true"><script>window.pwned = true</script>`;
const AGENTS: AgentChoice[] = [
  { name: "assistant", title: "Assistant", voices: ["Ashley", "Dennis"], voice: null, default: true },
  { name: "tutor", title: HOSTILE, voices: [], voice: null, default: false },
];
const STARTED: State = next(IDLE, { type: "start", microphone: true });
const TALKING: State = next(STARTED, { type: "agent", state: "listening", at: 0 });

const element = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;

beforeEach(() => {
  document.body.innerHTML = page.slice(page.indexOf("<main"), page.indexOf("</body>"));
});

describe("the page", () => {
  it("shows what was said as text, however much it looks like markup", () => {
    const view = new View();
    for (const who of ["user", "agent"] as const) {
      view.turn({ id: who, who, text: HOSTILE, final: true, at: 0 });
    }
    const transcript = element("transcript");
    expect(transcript.querySelectorAll("img, script")).toHaveLength(0);
    const words = Array.from(transcript.querySelectorAll(".turn .words"), (each) => each.textContent);
    expect(words).toEqual([HOSTILE, HOSTILE]);
  });

  it("shows the service's own words, titles and voices as text", () => {
    const view = new View();
    view.offer(
      [...AGENTS, { name: "x", title: "x", voices: [HOSTILE, "b"], voice: null, default: false }],
      { agent: "x", voice: null },
    );
    const problem = { kind: "refused", status: 400, code: "odd", detail: HOSTILE, retryAfterS: null } as const;
    view.show(next(STARTED, { type: "failed", problem, at: 1 }), 0, null);
    expect(document.querySelectorAll("#page img, #page script")).toHaveLength(0);
    expect(element("error-advice").textContent).toBe(HOSTILE);
  });

  it("settles a turn in place and marks its side and its state", () => {
    const view = new View();
    view.turn({ id: "u", who: "user", text: "what ti", final: false, at: 0 });
    const turn = document.querySelector<HTMLElement>(".turn");
    expect(turn?.dataset).toMatchObject({ who: "user", final: "false" });
    expect(turn?.getAttribute("aria-busy")).toBe("true");
    view.turn({ id: "u", who: "user", text: "What time is it?", final: true, at: 0 });
    expect(document.querySelectorAll(".turn")).toHaveLength(1);
    expect(turn?.dataset["final"]).toBe("true");
    expect(turn?.querySelector(".words")?.textContent).toBe("What time is it?");
  });

  it("forgets the turns that it is told to forget", () => {
    const view = new View();
    for (const id of ["a", "b"]) view.turn({ id, who: "user", text: id, final: true, at: 0 });
    view.keepOnly(new Set(["b"]));
    expect(document.querySelector("#transcript")?.textContent).not.toContain("Youa");
    view.clearTranscript();
    expect(document.querySelectorAll(".turn")).toHaveLength(0);
    expect(element("empty").hidden).toBe(false);
  });

  it("offers only what there is to choose", () => {
    const view = new View();
    view.offer(AGENTS.slice(1), { agent: null, voice: null });
    expect(element("choices").hidden).toBe(true);
    expect(view.choice).toEqual({ agent: null, voice: null });
    view.offer(AGENTS, { agent: "gone", voice: "Dennis" });
    expect(view.choice).toEqual({ agent: "assistant", voice: "Dennis" });
    view.agent.value = "tutor";
    view.offerVoices(AGENTS, null);
    expect(element("voice-field").hidden).toBe(true);
    expect(view.choice).toEqual({ agent: "tutor", voice: null });
  });

  it("offers a single voice where it is another than the agent's own, and never its own twice", () => {
    const view = new View();
    const offered = (voice: string | null, ...voices: string[]): string[] | null => {
      view.offer([{ name: "a", title: "A", voices, voice, default: true }], { agent: null, voice: null });
      const shown = Array.from(view.voice.options, (each) => each.value);
      return element("choices").hidden ? null : shown;
    };
    expect(offered(null, "Dennis")).toEqual(["", "Dennis"]);
    expect(offered("Ashley", "Ashley", "Dennis")).toEqual(["", "Dennis"]);
    expect(offered("Ashley", "Ashley")).toBeNull();
    expect(offered(null)).toBeNull();
  });

  it("has one button to start, and mute, end and writing only while they do something", () => {
    const view = new View();
    view.show(IDLE, 0, null);
    const shown = (): string[] =>
      ["talk", "mute", "end"].filter((id) => !element(id).hidden);
    expect(shown()).toEqual(["talk"]);
    expect(element("type-instead").hidden).toBe(false);
    view.show(STARTED, 0, null);
    expect(shown()).toEqual(["mute", "end"]);
    expect(element("type-instead").hidden).toBe(true);
    view.show(TALKING, 0, null);
    expect(element("status").dataset["state"]).toBe("listening");
    view.show(next(TALKING, { type: "muted", muted: true }), 0, null);
    expect(element("mute").getAttribute("aria-pressed")).toBe("true");
    expect(element("mute-words").textContent).toBe("Unmute");
    expect(element("composer").hidden).toBe(false);
    expect(element("keep").hidden).toBe(true);
    view.show(next(TALKING, { type: "ended", reason: "max_duration", at: 5000 }), 3, null);
    expect(shown()).toEqual(["talk"]);
    expect(element("composer").hidden).toBe(true);
    expect(element("keep").hidden).toBe(false);
    expect(Array.from(document.querySelectorAll("#figures dd"), (each) => each.textContent)).toEqual([
      "5 s",
      "3",
    ]);
    expect(element("summary").textContent).toContain("time limit");
  });

  it("offers typing when the microphone is the trouble, and only then", () => {
    const view = new View();
    const failed = (problem: State["problem"]): State =>
      next(STARTED, { type: "failed", problem: problem ?? { kind: "unknown" }, at: 1 });
    view.show(failed({ kind: "microphone", why: "refused" }), 0, null);
    expect(view.typeInstead.hidden).toBe(false);
    expect(element("error").hidden).toBe(false);
    view.show(failed({ kind: "lost" }), 0, null);
    expect(view.typeInstead.hidden).toBe(true);
  });

  it("writes a response time beside its turn, and changes it in place", () => {
    const view = new View();
    view.turn({ id: "a", who: "agent", text: "Hello", final: true, at: 0 });
    view.timing("gone", "1.00 s");
    view.timing("a", "0.80 s");
    view.timing("a", "0.90 s");
    view.turn({ id: "a", who: "agent", text: "Hello there", final: true, at: 0 });
    expect(Array.from(document.querySelectorAll(".turn p"), (each) => each.textContent)).toEqual([
      "Hello there",
      "0.90 s",
    ]);
  });

  it("offers no choice where the page around has made it", () => {
    const view = new View();
    view.offer(AGENTS, { agent: "tutor", voice: null });
    view.fix({ agent: "tutor", voice: null });
    expect(element("choices").hidden).toBe(true);
    expect(view.choice).toEqual({ agent: "tutor", voice: null });
    view.fix({ agent: "unlisted", voice: null });
    expect([view.choice.agent, element("name").textContent]).toEqual(["unlisted", "Assistant"]);
  });

  it("keeps the keyboard where the action is", () => {
    const view = new View();
    view.show(IDLE, 0, null);
    view.talk.focus();
    view.show(STARTED, 0, null);
    expect(document.activeElement).toBe(view.end);
    view.show(next(STARTED, { type: "ended", reason: "user_requested", at: 1 }), 0, null);
    expect(document.activeElement).toBe(view.talk);
  });

  it("holds nothing that a strict content policy refuses", () => {
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
});

describe("a conversation that is handed over", () => {
  it("names each speaker, and begins a new turn where the same side goes on in another voice", () => {
    const view = new View();
    view.offer(AGENTS, { agent: "assistant", voice: null });
    const turns = ["1", "2", "3"].map((id) => ({ id, who: "agent", text: id, final: true, at: 0 }) as const);
    const [first, second, third] = turns as [(typeof turns)[0], (typeof turns)[0], (typeof turns)[0]];
    view.turn(first);
    view.call(HOSTILE);
    view.turn(second);
    view.turn(third);
    expect(turns.map((turn) => view.nameOf(turn))).toEqual(["Assistant", HOSTILE, HOSTILE]);
    const shown = Array.from(document.querySelectorAll<HTMLElement>(".turn"));
    expect(shown.map((turn) => turn.dataset["newcomer"])).toEqual(["true", "true", undefined]);
    expect(element("name").textContent).toBe(HOSTILE);
    view.callChosen();
    expect(element("name").textContent).toBe("Assistant");
  });
});
