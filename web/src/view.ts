/** The page's elements. Whatever was said or answered enters them as text, never as markup. */

import type { AgentChoice, Choice } from "./api";
import { clock } from "./clock";
import { byId, option, setText } from "./elements";
import { live, type Problem, type State } from "./session";
import type { Turn } from "./transcript";
import { endWords, type Figure, figures, problemWords, statusWords } from "./words";

/** The reader counts as following the conversation when within this many pixels of its end. */
const FOLLOW_PX = 80;

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
  readonly copy = byId("copy", HTMLButtonElement);
  readonly download = byId("download", HTMLButtonElement);
  readonly close = byId("close", HTMLButtonElement);

  readonly #status = byId("status", HTMLElement);
  readonly #statusWords = byId("status-words", HTMLElement);
  readonly #name = byId("name", HTMLElement);
  readonly #clock = byId("clock", HTMLElement);
  readonly #headline = byId("headline", HTMLElement);
  readonly #legend = byId("legend", HTMLElement);
  readonly #legendAgent = byId("legend-agent", HTMLElement);
  readonly #summary = byId("summary", HTMLElement);
  readonly #summaryWhy = byId("summary-why", HTMLElement);
  readonly #figures = byId("figures", HTMLElement);
  readonly #keep = byId("keep", HTMLElement);
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
  #agentTitle = "Assistant";
  #chosenTitle = "Assistant";
  #fixed: Choice | null = null;
  #following = true;

  constructor() {
    this.#transcript.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#transcript;
      this.#following = scrollHeight - scrollTop - clientHeight < FOLLOW_PX;
    });
    // A phone's keyboard takes half of the room: who was at the end stays there.
    new ResizeObserver(() => this.#follow()).observe(this.#transcript);
  }

  /** Shows that closing ends the conversation, where the page around drops the frame. */
  closeEnds(): void {
    this.close.setAttribute("aria-label", "End and close");
    this.close.querySelector("path")?.setAttribute("d", "M6 6l12 12M18 6L6 18");
  }

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
    const voices = (agent?.voices ?? []).filter((each) => each !== agent?.voice);
    this.voice.replaceChildren(option("", "Its usual one"), ...voices.map((each) => option(each, each)));
    this.voice.value = chosen !== null && voices.includes(chosen) ? chosen : "";
    this.#voiceField.hidden = voices.length === 0;
    this.#choices.hidden = this.#nothingToChoose;
    this.#chosenTitle = agent?.title ?? "Assistant";
    this.callChosen();
  }

  /** Names whoever speaks for the other side from now on. */
  call(title: string): void {
    this.#agentTitle = title;
    for (const element of [this.#legendAgent, this.#name]) setText(element, title);
  }

  /** What is chosen; null leaves it to the service. */
  get choice(): Choice {
    if (this.#fixed !== null) return this.#fixed;
    return {
      agent: this.#agentField.hidden ? null : this.agent.value || null,
      voice: this.#voiceField.hidden ? null : this.voice.value || null,
    };
  }

  /** Who said a turn, as it is shown. */
  nameOf(turn: Turn): string {
    return this.#turns.get(turn.id)?.querySelector(".who")?.textContent ?? this.#agentTitle;
  }

  /** Takes the choice away: the page around has made it. */
  fix(choice: Choice): void {
    this.#fixed = choice;
    if (choice.agent !== null && choice.agent !== this.agent.value) this.#chosenTitle = "Assistant";
    this.callChosen();
    this.#choices.hidden = true;
  }

  /** `turns` that were said, and the middle one of the response times; null: none was measured. */
  show(state: State, turns: number, median: number | null): void {
    const running = live(state);
    const over = state.phase === "ended" || state.phase === "error";
    document.body.dataset["live"] = String(running);
    document.body.dataset["over"] = String(over);
    document.body.dataset["seen"] = String(running || turns > 0);
    this.#status.dataset["state"] = state.phase;
    this.#status.dataset["reconnecting"] = String(state.reconnecting);
    setText(this.#statusWords, statusWords(state));
    // While it lives the state stands large in the middle; the status line goes on telling it to
    // screen readers, and shows whose voice it is.
    this.#statusWords.classList.toggle("unseen", running);
    this.#name.hidden = !running;
    setText(this.#headline, headline(state));
    this.#legend.hidden = !running;
    this.#privacy.hidden = state.phase !== "idle";
    this.composer.hidden = over;
    this.message.placeholder = running ? "Write a message" : "Or write a message";
    this.#keep.hidden = !over || turns === 0;
    this.#showControls(state, running);
    this.#summary.hidden = state.phase !== "ended";
    setText(this.#summaryWhy, state.phase === "ended" ? endWords(state.endReason) : "");
    this.#showFigures(state.phase === "ended" ? figures(state, turns, median) : []);
    this.#showProblem(state.problem);
  }

  #showControls(state: State, running: boolean): void {
    const focused = document.activeElement;
    this.talk.hidden = running;
    const again = state.phase === "ended" ? "Talk again" : "Try again";
    setText(this.#talkWords, state.phase === "idle" ? "Start talking" : again);
    this.typeInstead.hidden = state.phase !== "idle" && state.problem?.kind !== "microphone";
    this.#choices.hidden = running || this.#nothingToChoose;
    this.mute.hidden = !running || !state.microphone;
    this.mute.setAttribute("aria-pressed", String(state.muted));
    setText(this.#muteWords, state.muted ? "Unmute" : "Mute");
    this.end.hidden = !running;
    if (!running) this.#clock.hidden = true;
    // A hidden button loses the focus to nowhere; a keyboard user goes on where the action is.
    if (focused === this.talk && running) this.end.focus();
    if (focused === this.typeInstead && running) this.message.focus();
    if ((focused === this.end || focused === this.message) && (state.phase === "ended" || state.phase === "error"))
      this.talk.focus();
  }

  get #nothingToChoose(): boolean {
    return this.#fixed !== null || (this.#agentField.hidden && this.#voiceField.hidden);
  }

  #showFigures(shown: readonly Figure[]): void {
    const pairs = shown.map(({ name, value }) => {
      const pair = document.createElement("div");
      const term = document.createElement("dt");
      const words = document.createElement("dd");
      term.textContent = name;
      words.textContent = value;
      pair.append(term, words);
      return pair;
    });
    this.#figures.replaceChildren(...pairs);
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
    const words = element.querySelector(".words");
    if (words !== null) setText(words, turn.text);
    this.#follow();
  }

  /** Writes beside a turn how long it took. */
  timing(id: string, words: string): void {
    const element = this.#turns.get(id);
    if (element === undefined) return;
    let line = element.querySelector(".timing");
    if (line === null) {
      line = document.createElement("p");
      line.className = "timing";
      element.append(line);
    }
    setText(line, words);
    this.#follow();
  }

  /** Shows or hides what `timing` wrote. */
  showTimings(shown: boolean): void {
    document.body.dataset["timings"] = String(shown);
  }

  /** Drops the elements of turns that the transcript has let go. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const [id, element] of this.#turns) {
      if (ids.has(id)) continue;
      element.remove();
      this.#turns.delete(id);
    }
  }

  /** Names the agent that is chosen again, whoever was given the last conversation. */
  callChosen(): void {
    this.call(this.#chosenTitle);
  }

  clearTranscript(): void {
    this.keepOnly(new Set());
    this.#empty.hidden = false;
    this.#following = true;
  }

  /** Keeps the end in sight of who has not scrolled away from it. */
  #follow(): void {
    if (this.#following) this.#transcript.scrollTop = this.#transcript.scrollHeight;
  }

  #newTurn(turn: Turn): HTMLElement {
    const element = document.createElement("div");
    element.className = "turn";
    element.dataset["who"] = turn.who;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = turn.who === "user" ? "You" : this.#agentTitle;
    const before = this.#transcript.lastElementChild?.querySelector(".who")?.textContent;
    // Another agent's words look like a new turn, though the same side goes on.
    if (turn.who === "agent" && before !== this.#agentTitle) element.dataset["newcomer"] = "true";
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
    case "idle":
      return "Say hello.";
    default:
      return statusWords(state);
  }
}
