import { expect, it } from "vitest";
import { extent, linearScale, timeScale } from "./drawn/scales";

const DAY = 86_400_000;
const START = Date.parse("2026-11-18T00:00:00Z");
const labels = (days: number, width: number) => {
  const scale = timeScale([START, START + days * DAY], [0, width]);
  return scale.ticks.map(scale.format);
};

it.each([
  [0.5, 280],
  [1, 1100],
  [7, 280],
  [7, 1100],
  [30, 280],
  [30, 1100],
  [90, 600],
])("names at least two different times on %d days over %d pixels, with room for each", (days, width) => {
  const names = labels(days, width);
  expect(names.length).toBeGreaterThan(1);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeLessThanOrEqual(width / 60);
});

it("reaches from the least to the greatest, and what must be in it", () => {
  expect(extent([3, 1, 2])).toEqual([1, 3]);
  expect(extent([3, 1], [0])).toEqual([0, 3]);
});

it("is never empty", () => {
  expect(extent([])).toEqual([0, 1]);
  expect(extent([4, 4])).toEqual([2, 6]);
});

it("puts zero where it belongs", () => {
  const scale = linearScale([-1, 1], [0, 100], String, 4);
  expect([scale.at(-1), scale.at(0), scale.at(1)]).toEqual([0, 50, 100]);
});
