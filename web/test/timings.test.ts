import { describe, expect, it } from "vitest";
import { Answers, timing, timingWords, type Timing } from "../src/timings";

const turn = (data: Record<string, unknown>, name = "turn.completed"): Timing | null =>
  timing({ id: "1-0", name, data });
const SPOKEN = {
  turn: 1,
  interrupted: false,
  transcription_delay_s: 0.12,
  end_of_turn_delay_s: 0.3,
  llm_ttft_s: 0.18,
  tts_ttfb_s: 0.14,
  e2e_latency_s: 0.8444,
};

describe("response times", () => {
  it("are read from the one event that has them", () => {
    expect(turn(SPOKEN)?.total).toBe(0.8444);
    expect(turn(SPOKEN, "conversation.item")).toBeNull();
    expect(turn({ interrupted: true })).toBeNull();
  });

  it("are told as the whole and its parts; what was not measured is left out", () => {
    expect(timingWords(turn(SPOKEN) as Timing)).toBe(
      "Answered in 0.84\u00a0s (transcript 0.12\u00a0s, end of turn 0.30\u00a0s, model 0.18\u00a0s, voice 0.14\u00a0s)",
    );
    const typed = turn({ turn: 2, interrupted: true, llm_ttft_s: 0.2, tts_ttfb_s: "fast" });
    expect(timingWords(typed as Timing)).toBe("model 0.20\u00a0s, interrupted");
  });

  it("are numbered on when another agent takes over and counts from 1", () => {
    const answers = new Answers();
    const numbers = [1, 2, 1, 2].map((n) => answers.add(turn({ ...SPOKEN, turn: n }) as Timing));
    expect(numbers).toEqual([1, 2, 3, 4]);
  });

  it("have a middle one", () => {
    const answers = new Answers();
    expect(answers.median).toBeNull();
    for (const total of [0.9, 0.5, 0.7]) answers.add(turn({ ...SPOKEN, e2e_latency_s: total }) as Timing);
    expect(answers.median).toBe(0.7);
    answers.add(turn({ ...SPOKEN, e2e_latency_s: 0.8 }) as Timing);
    expect(answers.median).toBeCloseTo(0.75);
  });
});
