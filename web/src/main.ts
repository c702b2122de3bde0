/** Wires the page together. */

import { ApiError, type Choice, SessionApi, type TalkPage, talkPage } from "./api";
import { Conversation } from "./conversation";
import { frameOf, keyOf, onStart, tellParent } from "./frame";
import { randomId, recall, remember, userId } from "./identity";
import { Meter } from "./meter";
import { watchPermission } from "./microphone";
import { Panel } from "./panel";
import { asText, download, fileName } from "./record";
import { attended, type Event, IDLE, live, next, type Problem, type State } from "./session";
import { Answers, timing, timingWords } from "./timings";
import { type Reading, Transcript, type Turn } from "./transcript";
import { View } from "./view";

const AGENT_KEY = "talk.agent";
const VOICE_KEY = "talk.voice";
/** Messages that wait for an agent; what is written beyond them stays in its field. */
const MAX_HELD = 5;
/**
 * An agent that is written to in the moment before its greeting begins may lose its answer with the
 * greeting. So messages wait until it speaks, or has been there for so long that it has none.
 */
const GREETING_BEGINS_WITHIN_S = 1.5;

const frame = frameOf(location);
const key = keyOf(frame);
if (frame !== null) document.documentElement.dataset["embedded"] = "true";
if (frame?.theme) document.documentElement.dataset["theme"] = frame.theme;

const view = new View();
const meter = new Meter(view.string);
const transcript = new Transcript();
const panel = new Panel({
  microphone: (id) => void change(conversation?.useMicrophone(id), "That microphone did not start."),
  speaker: (id) => void change(conversation?.useSpeaker(id), "That speaker can't be used."),
  volume: (volume) => conversation?.setVolume(volume),
  timings: (shown) => {
    view.showTimings(shown);
    followTimings();
  },
});
let state: State = IDLE;
let page: TalkPage | null = null;
let conversation: Conversation | null = null;
let answers = new Answers();
let following: AbortController | null = null;
let talks = 0;
let typed = 0;
let held: Reading[] = [];
let settled = false;

function show(): void {
  view.show(state, transcript.count, answers.median);
}

function happen(event: Event): void {
  const before = state;
  state = next(state, event);
  if (state === before) return;
  if (live(before) && !live(state)) {
    held = [];
    transcript.settle().forEach((turn) => view.turn(turn));
  }
  show();
  meter.show(state.phase, state.muted || !state.microphone);
  if (frame !== null && state.phase !== before.phase) {
    tellParent(frame, { type: "assistant-talk:state", phase: state.phase, live: live(state) });
  }
  if (state.since !== null && before.since === null) followTimings();
  if (attended(state) && !attended(before)) settleSoon(conversation);
  if (state.phase === "speaking") settled = true;
  void sendHeld();
}

function say(reading: Reading): Turn | null {
  const turn = transcript.read(reading);
  if (turn === null) return null;
  view.turn(turn);
  view.keepOnly(new Set(transcript.turns.map((each) => each.id)));
  return turn;
}

/** Response times are asked for only where they are wanted: they cost the service a stream. */
function followTimings(): void {
  if (!panel.timings || conversation === null || following !== null || state.since === null) return;
  following = new AbortController();
  void conversation.follow((event) => {
    const measured = timing(event);
    if (measured === null) return;
    const turn = transcript.answer(answers.add(measured));
    if (turn !== null) view.timing(turn.id, timingWords(measured));
    show();
  }, following.signal);
}

const offline = (error: unknown): Problem =>
  error instanceof ApiError
    ? { kind: "refused", status: error.status, code: error.code, detail: error.detail, retryAfterS: error.retryAfterS }
    : { kind: "unreachable" };

const remembered = (): Choice => ({ agent: recall(AGENT_KEY), voice: recall(VOICE_KEY) });

async function load(): Promise<TalkPage> {
  if (page !== null) return page;
  const fresh = await talkPage(await key);
  if (page === null) {
    const fixed = frame?.agent || frame?.voice ? { agent: frame.agent, voice: frame.voice } : null;
    view.offer(fresh.agents, fixed ?? remembered());
    if (fixed !== null) view.fix(fixed);
    if (fresh.url !== null) warm(fresh.url);
  }
  page = fresh;
  return fresh;
}

/** Looks LiveKit's host up, and greets it, before the click. */
function warm(url: string): void {
  const link = document.createElement("link");
  link.rel = "preconnect";
  link.href = url.replace(/^ws/, "http");
  document.head.append(link);
}

async function talk(microphone: boolean): Promise<void> {
  if (live(state)) return;
  talks += 1;
  const mine = talks;
  conversation = null;
  settled = false;
  following?.abort();
  following = null;
  answers = new Answers();
  transcript.clear();
  view.clearTranscript();
  view.callChosen();
  view.notice(null);
  happen({ type: "start", microphone });
  let known = page;
  if (known === null) {
    meter.unlock(); // The click counts until something is awaited.
    try {
      known = await load();
    } catch (error) {
      if (mine === talks) happen({ type: "failed", problem: offline(error), at: performance.now() });
      return;
    }
    // The person may have given up while the page was still asking, and even begun anew.
    if (mine !== talks || !live(state)) return;
  }
  const api = new SessionApi(known.key, randomId(), userId());
  conversation = new Conversation(api, known.startTimeout, panel.sound, {
    event: happen,
    reading: (reading) => void say(reading),
    voice: (who, track) => {
      if (track === null) meter.deafen(who);
      else meter.listen(who, track);
    },
    named: (title) => view.call(title),
    soundBlocked: (blocked) => (view.sound.hidden = !blocked),
    devicesKnown: () => void panel.refresh(),
  });
  const started = conversation.start(view.choice, microphone);
  meter.unlock(); // It takes some milliseconds, and the call for an agent is out by now.
  await started;
}

function end(): void {
  if (conversation === null) happen({ type: "ended", reason: "user_requested", at: performance.now() });
  conversation?.end();
  conversation = null;
}

/** A message that is written before anybody is there begins a conversation, and waits in it. */
async function write(): Promise<void> {
  const text = view.message.value.trim();
  if (text === "" || held.length >= MAX_HELD) return;
  view.message.value = "";
  view.notice(null);
  if (!live(state)) void talk(false);
  typed += 1;
  const segment = `typed-${typed}`;
  const message: Reading = { segment, who: "user", stream: 0, text, final: false, at: performance.now() };
  held.push(message);
  say(message);
  await sendHeld();
}

function settleSoon(current: Conversation | null): void {
  setTimeout(() => {
    if (conversation !== current) return;
    settled = true;
    void sendHeld();
  }, GREETING_BEGINS_WITHIN_S * 1000);
}

async function sendHeld(): Promise<void> {
  while (settled && attended(state) && !state.reconnecting && conversation !== null) {
    const message = held.shift();
    if (message === undefined) return;
    try {
      await conversation.say(message.text);
      say({ ...message, final: true });
    } catch {
      say({ ...message, text: "", final: true });
      if (view.message.value === "") view.message.value = message.text;
      view.notice("Your message was not sent. Try again.");
    }
  }
}

/** Waits for a change of device; tells when it did not work. */
async function change(done: Promise<void> | undefined, otherwise: string): Promise<void> {
  try {
    await done;
  } catch {
    view.notice(otherwise);
  }
}

const record = (): string => {
  const { turns } = transcript;
  return asText(turns, state.since ?? turns[0]?.at ?? 0, (turn) => view.nameOf(turn));
};

async function copy(): Promise<void> {
  try {
    await navigator.clipboard.writeText(record());
    view.notice("Copied.");
  } catch {
    view.notice("The browser did not let it be copied. Download it instead.");
  }
}

view.talk.addEventListener("click", () => void talk(true));
view.typeInstead.addEventListener("click", () => void talk(false));
view.end.addEventListener("click", end);
view.sound.addEventListener("click", () => conversation?.unlockSound());
view.mute.addEventListener("click", () => void conversation?.mute(!state.muted));
view.copy.addEventListener("click", () => void copy());
view.download.addEventListener("click", () => download(fileName(new Date()), record()));
view.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  void write();
});
view.agent.addEventListener("change", () => {
  remember(AGENT_KEY, view.agent.value);
  view.offerVoices(page?.agents ?? [], null);
});
view.voice.addEventListener("change", () => remember(VOICE_KEY, view.voice.value));
window.addEventListener("pagehide", () => conversation?.abandon());

const leave = (): void => {
  if (frame !== null) tellParent(frame, { type: "assistant-talk:close" });
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.close()) leave();
});
if (frame !== null) {
  view.close.hidden = false;
  if (frame.keyComes) view.closeEnds();
  view.close.addEventListener("click", leave);
  onStart(frame, () => void talk(true));
  tellParent(frame, { type: "assistant-talk:ready" });
}

setInterval(() => {
  view.tick(live(state) && state.since !== null ? (performance.now() - state.since) / 1000 : null);
}, 500);

view.showTimings(panel.timings);
show();
// Asked early so that a click need not wait; a failure is told when the person clicks.
load().catch(() => undefined);
void watchPermission();
