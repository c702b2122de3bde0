import { expect, it } from "vitest";
import { ApiError, UnreachableError } from "../src/api";
import { asProblem, MediaError, MicrophoneError, microphoneTrouble } from "../src/troubles";

const named = (name: string): Error => Object.assign(new Error(), { name });

it("tells by the browser's own names what is wrong with a microphone", () => {
  const names = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];
  expect(names.map((name) => microphoneTrouble(named(name)))).toEqual(["refused", "absent", "busy", "other"]);
});

it("makes a problem of everything that a start may throw", () => {
  expect(asProblem(new MicrophoneError("absent"))).toEqual({ kind: "microphone", why: "absent" });
  expect(asProblem(new UnreachableError("no answer"))).toEqual({ kind: "unreachable" });
  expect(asProblem(new MediaError("the room did not open"))).toEqual({ kind: "media" });
  expect(asProblem(new ApiError(503, "queue_full", null, 7))).toMatchObject({
    kind: "refused",
    code: "queue_full",
    retryAfterS: 7,
  });
});
