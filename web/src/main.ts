/** Wires the page together. */

import { ApiError, type Choice, SessionApi, type TalkPage, talkPage } from "./api";
import { Conversation } from "./conversation";
import { randomId, recall, remember, userId } from "./identity";
import { Meter } from "./meter";
import { type Event, IDLE, live, next, type Problem, type State } from "./session";
import { type Reading, Transcript, type Turn } from "./transcript";
import { View } from "./view";

const AGENT_KEY = "talk.agent";
const VOICE_KEY = "talk.voice";

const view = new View();
const meter = new Meter(view.string);
const transcript = new Transcript();
let state: State = IDLE;
let page: TalkPage | null = null;
let conversation: Conversation | null = null;
let typed = 0;

function happen(event: Event): void {
  const before = state;
  state = next(state, event);
  if (state === before) return;
  if (live(before) && !live(state)) transcript.settle().forEach((turn) => view.turn(turn));
  view.show(state, transcript.count);
  meter.show(state.phase, state.muted || !state.microphone);
}

function say(reading: Reading): Turn | null {
  const turn = transcript.read(reading);
  if (turn === null) return null;
  view.turn(turn);
  view.keepOnly(new Set(transcript.turns.map((each) => each.id)));
  return turn;
}

const offline = (error: unknown): Problem =>
  error instanceof ApiError
    ? { kind: "refused", status: error.status, code: error.code, detail: error.detail, retryAfterS: error.retryAfterS }
    : { kind: "unreachable" };

const remembered = (): Choice => ({ agent: recall(AGENT_KEY), voice: recall(VOICE_KEY) });

async function load(): Promise<TalkPage> {
  if (page !== null) return page;
  const fresh = await talkPage();
  if (page === null) view.offer(fresh.agents, remembered());
  page = fresh;
  return fresh;
}

async function talk(microphone: boolean): Promise<void> {
  if (live(state)) return;
  conversation = null;
  transcript.clear();
  view.clearTranscript();
  view.notice(null);
  meter.unlock();
  happen({ type: "start", microphone });
  let known: TalkPage;
  try {
    known = await load();
  } catch (error) {
    happen({ type: "failed", problem: offline(error), at: performance.now() });
    return;
  }
  // The person may have given up while the page was still asking.
  if (!live(state)) return;
  const api = new SessionApi(known.key, randomId(), userId());
  conversation = new Conversation(api, known.startTimeout, {
    event: happen,
    reading: (reading) => void say(reading),
    voice: (who, track) => {
      if (track === null) meter.deafen(who);
      else meter.listen(who, track);
    },
    soundBlocked: (blocked) => (view.sound.hidden = !blocked),
  });
  await conversation.start(view.choice, microphone);
}

function end(): void {
  if (conversation === null) happen({ type: "ended", reason: "user_requested", at: performance.now() });
  conversation?.end();
  conversation = null;
}

async function sendMessage(): Promise<void> {
  const text = view.message.value.trim();
  if (text === "" || conversation === null) return;
  view.message.value = "";
  view.notice(null);
  try {
    await conversation.say(text);
    typed += 1;
    say({ segment: `typed-${typed}`, who: "user", stream: 0, text, final: true });
  } catch {
    view.message.value = text;
    view.notice("Your message was not sent. Try again.");
  }
}

view.talk.addEventListener("click", () => void talk(true));
view.typeInstead.addEventListener("click", () => void talk(false));
view.end.addEventListener("click", end);
view.sound.addEventListener("click", () => conversation?.unlockSound());
view.mute.addEventListener("click", () => void conversation?.mute(!state.muted));
view.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  void sendMessage();
});
view.agent.addEventListener("change", () => {
  remember(AGENT_KEY, view.agent.value);
  view.offerVoices(page?.agents ?? [], null);
});
view.voice.addEventListener("change", () => remember(VOICE_KEY, view.voice.value));
window.addEventListener("pagehide", () => conversation?.abandon());

setInterval(() => {
  view.tick(live(state) && state.since !== null ? (performance.now() - state.since) / 1000 : null);
}, 500);

view.show(state, 0);
// Asked early so that a click need not wait; a failure is told when the person clicks.
load().catch(() => undefined);
