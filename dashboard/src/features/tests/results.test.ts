import { describe, expect, it } from "vitest";
import { withNewest } from "./AllocationCard";
import { looksOf, worthDrawing } from "./Course";
import { sizeInputOf } from "./SampleSizePage";
import { colorsOf, differenceWriterOf, writerOf } from "./scale";

const comparison = (low: number, high: number) => ({
  variant: { id: "v", key: "b", name: "B", isControl: false },
  difference: { point: (low + high) / 2, low, high },
  lift: null,
  pValue: 0.5,
  adjustedPValue: 0.5,
});
const point = (at: string, exposed: number, always?: [number, number], fixed?: [number, number]) => ({
  at,
  exposed,
  sequential: always ? { comparisons: [comparison(...always)] } : null,
  frequentist: fixed ? { comparisons: [comparison(...fixed)] } : null,
});

describe("a test's course", () => {
  it("leaves out looks without a result, and lets the present replace today's", () => {
    const looks = looksOf(
      [
        point("2026-01-02T00:00:00Z", 10),
        point("2026-01-03T00:00:00Z", 20, [-1, 3]),
        point("2026-01-04T09:00:00Z", 30, [-0.5, 2], [0.1, 1]),
        point("2026-01-04T09:00:05Z", 31, [-0.4, 2], [0.2, 1]),
      ] as never,
      "b",
    );
    expect(looks.map(({ exposed }) => exposed)).toEqual([20, 31]);
    expect(looks[0]).toMatchObject({ point: 1, fixedLow: null, alwaysLow: -1, alwaysHigh: 3 });
    expect(looks[1]).toMatchObject({ fixedLow: 0.2, alwaysLow: -0.4 });
    expect(looksOf([point("2026-01-03T00:00:00Z", 20, [-1, 3])] as never, "other")).toEqual([]);
  });
});

it("the first looks, too wide beside the last one, are not drawn, and stay in the table", () => {
  const look = (alwaysHigh: number) => ({ at: 0, exposed: 1, point: 0, fixedLow: null, fixedHigh: null, alwaysLow: -alwaysHigh, alwaysHigh });
  expect(worthDrawing([look(50), look(7), look(1)]).map(({ alwaysHigh }) => alwaysHigh)).toEqual([7, 1]);
  expect(worthDrawing([])).toEqual([]);
});

it("policy versions are shown in order, the newest as it comes, none twice", () => {
  const version = (policyVersion: number) => ({ policyVersion }) as never;
  const versions = withNewest([version(2), version(1)], version(3));
  expect(versions.map(({ policyVersion }) => policyVersion)).toEqual([1, 2, 3]);
  expect(withNewest([version(1)], version(1))).toHaveLength(1);
});

it("rates are percents, their differences percentage points with a sign", () => {
  expect(writerOf("CONVERSION", "USD")(0.0512)).toBe("5.12%");
  expect(differenceWriterOf("CONVERSION", "USD")(0.012)).toBe("+1.2 pp");
  expect(differenceWriterOf("REVENUE", "USD")(-1.5)).toBe("-$1.50");
});

it("the control has the first colour wherever it stands", () => {
  const colors = colorsOf([
    { key: "b", isControl: false },
    { key: "a", isControl: true },
  ]);
  expect([...colors]).toEqual([
    ["a", 0],
    ["b", 1],
  ]);
});

it("the calculator asks nothing until every number is there", () => {
  const typed = { kind: "CONVERSION", baseline: "5", deviation: "10", effect: "10", power: "80", confidence: "95", variants: "2", daily: "" } as const;
  expect(sizeInputOf(typed)).toMatchObject({ baseline: 0.05, minimumDetectableEffect: 0.1, power: 0.8, variants: 2 });
  expect(sizeInputOf({ ...typed, effect: "" })).toBeNull();
  expect(sizeInputOf({ ...typed, baseline: "x" })).toBeNull();
  expect(sizeInputOf({ ...typed, kind: "REVENUE" })).toMatchObject({ baseline: 5, standardDeviation: 10 });
});
