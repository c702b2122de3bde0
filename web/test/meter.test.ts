import { expect, it } from "vitest";
import { bands } from "../src/meter";

it("gives every band the loudness of its own part of the spectrum, 0 to 1", () => {
  const bins = new Uint8Array(256);
  expect(bands(bins, 48_000, 9)).toEqual(new Array(9).fill(0));
  expect(bands(bins.fill(255), 48_000, 9)).toEqual(new Array(9).fill(1));
  const low = new Uint8Array(256);
  low.fill(255, 0, 4);
  const [first, , , ...rest] = bands(low, 48_000, 9);
  expect(first).toBe(1);
  expect(Math.max(...rest)).toBe(0);
});

it("does not read past a short spectrum", () => {
  expect(bands(new Uint8Array(4).fill(128), 8000, 9).every(Number.isFinite)).toBe(true);
});
