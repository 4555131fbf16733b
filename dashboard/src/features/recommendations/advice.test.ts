import { expect, it } from "vitest";
import { amountsOf } from "./CampaignAdvice";
import { figuresOf } from "./Models";
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

it("a day is named only where the model tells it from the others", () => {
  expect(rowsOf({ dayOfWeek: null })).toEqual(["Every day"]);
  expect(rowsOf({ dayOfWeek: 7 })).toEqual(["Sunday"]);
});
