import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Client } from "../src/api/client";
import type { ReportAnswer } from "../src/api/types";
import { Console } from "../src/live/console";
import { ConsoleContext } from "../src/live/hooks";
import { type Conversation, EMPTY, turnOf } from "../src/state/conversation";
import { Report } from "../src/views/Report";
import { Service } from "./service";
import { event, session } from "./world";

const PATH = "/api/sessions/s-1/report";
const report = (turns: number) =>
  ({
    sessionId: "s-1",
    ready: false,
    status: "active",
    attempts: 1,
    durationS: 10,
    userMessages: turns,
    agentMessages: turns,
    toolCalls: [],
    recordings: [{ attempt: 1, bytes: 1000, startedAt: 1, durationS: 5 }],
    turns: { count: turns, interrupted: 0, latencies: {} },
    usage: { models: [], currency: null, cost: null },
    sdk: {},
    outcome: null,
  }) as unknown as ReportAnswer;

const until = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 4000 });

let service: Service;
let root: Root;
let box: HTMLElement;

beforeEach(async () => {
  service = new Service();
  await service.start();
  box = document.body.appendChild(document.createElement("div"));
  root = createRoot(box);
});
afterEach(async () => {
  root.unmount();
  box.remove();
  await service.stop();
});

it("keeps a report in place while the next one is read, so that its recording plays on", async () => {
  const client = new Console(new Client("secret"));
  const show = (conversation: Conversation): void =>
    root.render(
      <ConsoleContext value={client}>
        <Report session={session()} conversation={conversation} />
      </ConsoleContext>,
    );
  service.answers.set(PATH, () => report(1));
  show(EMPTY);
  await until(() => expect(box.textContent).toContain("1, 0 interrupted"));
  const [place, player] = [box.querySelector(".report"), box.querySelector("section")];

  let answer: (body: unknown) => void = () => undefined;
  service.answers.set(PATH, () => new Promise((resolve) => (answer = resolve)));
  show({ ...EMPTY, turns: [turnOf(event("turn.completed", 103, { turn: 1 }))] });
  await until(() => expect(service.count(PATH)).toBe(2));
  expect(box.querySelector(".report")).toBe(place);
  answer(report(2));
  await until(() => expect(box.textContent).toContain("2, 0 interrupted"));
  expect(box.querySelector("section")).toBe(player);
});
