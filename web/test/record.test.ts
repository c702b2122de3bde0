import { expect, it } from "vitest";
import { asText, fileName } from "../src/record";

it("writes who said what and when, a line a turn, and nothing of turns that were taken back", () => {
  const turns = [
    { id: "1", who: "agent", text: " Hello! ", final: true, at: 1500 },
    { id: "2", who: "user", text: " ", final: true, at: 2000 },
    { id: "3", who: "user", text: "<b>time</b>?", final: true, at: 66_900 },
  ] as const;
  expect(asText(turns, 1000, ({ who }) => (who === "user" ? "You" : "Tutor"))).toBe("[0:00] Tutor: Hello!\n[1:05] You: <b>time</b>?\n");
  expect(asText([], 0, () => "Tutor")).toBe("");
});

it("names the file by the person's own time", () => {
  expect(fileName(new Date(2025, 0, 31, 9, 5))).toBe("transcript-2025-01-31-0905.txt");
});
