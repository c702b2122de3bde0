/** The page's elements. Whatever was said or answered enters them as text, never as markup. */

import type { AgentChoice, Choice } from "./api";
import { attended, live, type Problem, type State } from "./session";
import type { Turn } from "./transcript";
import { problemWords, statusWords, summaryWords } from "./words";

/** The reader counts as following the conversation when within this many pixels of its end. */
const FOLLOW_PX = 80;

const byId = <E extends HTMLElement>(id: string, type: new () => E): E => {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`the page lacks #${id}`);
  return element;
};

const clock = (lengthS: number): string => {
  const whole = Math.max(0, Math.floor(lengthS));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

function option(value: string, words: string): HTMLOptionElement {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = words;
  return element;
}

export class View {
  readonly talk = byId("talk", HTMLButtonElement);
  readonly typeInstead = byId("type-instead", HTMLButtonElement);
  readonly mute = byId("mute", HTMLButtonElement);
  readonly end = byId("end", HTMLButtonElement);
  readonly sound = byId("sound", HTMLButtonElement);
  readonly composer = byId("composer", HTMLFormElement);
  readonly message = byId("message", HTMLInputElement);
  readonly agent = byId("agent", HTMLSelectElement);
  readonly voice = byId("voice", HTMLSelectElement);
  readonly string = byId("string", HTMLCanvasElement);

  readonly #send = byId("send", HTMLButtonElement);
  readonly #status = byId("status", HTMLElement);
  readonly #statusWords = byId("status-words", HTMLElement);
  readonly #clock = byId("clock", HTMLElement);
  readonly #headline = byId("headline", HTMLElement);
  readonly #legend = byId("legend", HTMLElement);
  readonly #legendAgent = byId("legend-agent", HTMLElement);
  readonly #summary = byId("summary", HTMLElement);
  readonly #error = byId("error", HTMLElement);
  readonly #errorTitle = byId("error-title", HTMLElement);
  readonly #errorAdvice = byId("error-advice", HTMLElement);
  readonly #choices = byId("choices", HTMLElement);
  readonly #agentField = byId("agent-field", HTMLElement);
  readonly #voiceField = byId("voice-field", HTMLElement);
  readonly #talkWords = byId("talk-words", HTMLElement);
  readonly #muteWords = byId("mute-words", HTMLElement);
  readonly #privacy = byId("privacy", HTMLElement);
  readonly #notice = byId("notice", HTMLElement);
  readonly #transcript = byId("transcript", HTMLElement);
  readonly #empty = byId("empty", HTMLElement);

  #turns = new Map<string, HTMLElement>();
  #agentTitle = "assistant";

  /** Offers what may be chosen: nothing where there is no choice. */
  offer(agents: readonly AgentChoice[], chosen: Choice): void {
    this.agent.replaceChildren(...agents.map((each) => option(each.name, each.title)));
    const start = agents.find((each) => each.name === chosen.agent) ?? agents.find((each) => each.default);
    if (start !== undefined) this.agent.value = start.name;
    this.#agentField.hidden = agents.length < 2;
    this.offerVoices(agents, chosen.voice);
  }

  /** Offers the voices of the agent that is chosen now. */
  offerVoices(agents: readonly AgentChoice[], chosen: string | null): void {
    const agent = agents.find((each) => each.name === this.agent.value);
    const voices = agent?.voices ?? [];
    this.voice.replaceChildren(option("", "Its usual one"), ...voices.map((each) => option(each, each)));
    this.voice.value = chosen !== null && voices.includes(chosen) ? chosen : "";
    this.#voiceField.hidden = voices.length < 2;
    this.#choices.hidden = this.#agentField.hidden && this.#voiceField.hidden;
    this.#agentTitle = agent?.title ?? "assistant";
    this.#legendAgent.textContent = this.#agentTitle;
  }

  /** What is chosen; null leaves it to the service. */
  get choice(): Choice {
    return {
      agent: this.#agentField.hidden ? null : this.agent.value || null,
      voice: this.#voiceField.hidden ? null : this.voice.value || null,
    };
  }

  show(state: State, turns: number): void {
    const running = live(state);
    const present = attended(state) && !state.reconnecting;
    document.body.dataset["live"] = String(running);
    document.body.dataset["seen"] = String(running || turns > 0);
    this.#status.dataset["state"] = state.phase;
    this.#status.dataset["reconnecting"] = String(state.reconnecting);
    setText(this.#statusWords, statusWords(state));
    this.#headline.hidden = running;
    setText(this.#headline, headline(state));
    this.#legend.hidden = !running;
    this.#privacy.hidden = state.phase !== "idle";
    this.#showControls(state, running);
    this.message.disabled = !present;
    this.#send.disabled = !present;
    this.composer.hidden = state.phase === "ended" || state.phase === "error";
    this.message.placeholder = running && !present ? "One moment…" : "Write a message";
    this.#summary.hidden = state.phase !== "ended";
    setText(this.#summary, state.phase === "ended" ? summaryWords(state, turns) : "");
    this.#showProblem(state.problem);
  }

  #showControls(state: State, running: boolean): void {
    const focused = document.activeElement;
    this.talk.hidden = running;
    const again = state.phase === "ended" ? "Talk again" : "Try again";
    setText(this.#talkWords, state.phase === "idle" ? "Start talking" : again);
    const problem = state.problem;
    this.typeInstead.hidden = !(problem?.kind === "microphone");
    this.#choices.hidden = running || (this.#agentField.hidden && this.#voiceField.hidden);
    this.mute.hidden = !running || !state.microphone;
    this.mute.setAttribute("aria-pressed", String(state.muted));
    setText(this.#muteWords, state.muted ? "Unmute" : "Mute");
    this.end.hidden = !running;
    if (!running) this.#clock.hidden = true;
    // A hidden button loses the focus to nowhere; a keyboard user goes on where the action is.
    if ((focused === this.talk || focused === this.typeInstead) && running) this.end.focus();
    if (focused === this.end && !running) this.talk.focus();
  }

  #showProblem(problem: Problem | null): void {
    this.#error.hidden = problem === null;
    const words = problem === null ? { title: "", advice: "" } : problemWords(problem);
    setText(this.#errorTitle, words.title);
    setText(this.#errorAdvice, words.advice);
  }

  /** Shows how long the conversation has lasted; null hides it. */
  tick(lengthS: number | null): void {
    this.#clock.hidden = lengthS === null;
    if (lengthS !== null) setText(this.#clock, clock(lengthS));
  }

  /** A small remark under the message field; null takes it away. */
  notice(words: string | null): void {
    this.#notice.hidden = words === null;
    setText(this.#notice, words ?? "");
  }

  turn(turn: Turn): void {
    const following = this.#following;
    let element = this.#turns.get(turn.id);
    if (element === undefined) {
      element = this.#newTurn(turn);
      this.#turns.set(turn.id, element);
      this.#empty.hidden = true;
      this.#transcript.append(element);
    }
    element.dataset["final"] = String(turn.final);
    // Screen readers wait for the end of a busy region instead of reading every interim word.
    element.setAttribute("aria-busy", String(!turn.final));
    const words = element.lastElementChild;
    if (words !== null) setText(words, turn.text);
    if (following) this.#transcript.scrollTop = this.#transcript.scrollHeight;
  }

  /** Drops the elements of turns that the transcript has let go. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const [id, element] of this.#turns) {
      if (ids.has(id)) continue;
      element.remove();
      this.#turns.delete(id);
    }
  }

  clearTranscript(): void {
    this.keepOnly(new Set());
    this.#empty.hidden = false;
  }

  get #following(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.#transcript;
    return scrollHeight - scrollTop - clientHeight < FOLLOW_PX;
  }

  #newTurn(turn: Turn): HTMLElement {
    const element = document.createElement("div");
    element.className = "turn";
    element.dataset["who"] = turn.who;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = turn.who === "user" ? "You" : this.#agentTitle;
    const words = document.createElement("p");
    words.className = "words";
    words.dir = "auto";
    element.append(who, words);
    return element;
  }
}

function headline(state: State): string {
  switch (state.phase) {
    case "ended":
      return "Until next time.";
    case "error":
      return "That did not work.";
    default:
      return "Say hello.";
  }
}

/** Sets text only when it differs: a live region repeats what is set again. */
function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
