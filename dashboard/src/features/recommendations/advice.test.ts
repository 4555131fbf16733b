import { expect, it } from "vitest";
import { amountsOf } from "./CampaignAdvice";
import { figuresOf, weightiest } from "./Models";
import { rowsOf } from "./PersonAdvice";

it("amounts are read however they are divided", () => {
  expect(amountsOf("2 5 10")).toEqual(["2", "5", "10"]);
  expect(amountsOf("2, 5.50, 10")).toEqual(["2", "5.50", "10"]);
  expect(amountsOf("2;5;10")).toEqual(["2", "5", "10"]);
  expect(amountsOf("  ")).toEqual([]);
});

it("of scores only plain figures are shown", () => {
  expect(figuresOf({ auc: 0.8, table: [1, 2], name: "x", brier: 0.1 })).toEqual([
    ["auc", 0.8],
    ["brier", 0.1],
  ]);
  expect(figuresOf(null)).toEqual([]);
});

it("features are told by what they are worth, the weightiest first", () => {
  const importances = { recency: { importance: 0.01 }, affinity: { importance: 0.2 }, weights: [1, 2] };
  expect(weightiest(importances)).toEqual([
    ["affinity", 0.2],
    ["recency", 0.01],
  ]);
  expect(weightiest(undefined)).toEqual([]);
});

it("a day is named only where the model tells it from the others", () => {
  expect(rowsOf({ dayOfWeek: null })).toEqual(["Every day"]);
  expect(rowsOf({ dayOfWeek: 7 })).toEqual(["Sunday"]);
});
