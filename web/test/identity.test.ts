import { beforeEach, expect, it } from "vitest";
import { randomId, userId } from "../src/identity";

beforeEach(() => localStorage.clear());

it("makes session ids that the service accepts, and never the same one", () => {
  const ids = Array.from({ length: 200 }, randomId);
  expect(new Set(ids).size).toBe(200);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
});

it("keeps one name for a browser, and replaces one that was tampered with", () => {
  const first = userId();
  expect(first).toMatch(/^web-/);
  expect(userId()).toBe(first);
  localStorage.setItem("talk.userId", "agent-boss");
  expect(userId()).toMatch(/^web-[0-9a-f]{32}$/);
});
