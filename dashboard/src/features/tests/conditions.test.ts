import { describe, expect, it } from "vitest";
import { conditionOf, rowsOf, shownOf, valueOf, type Condition } from "./conditions";

const row = (attribute: string, operator: Condition["operator"], value = ""): Condition => ({ attribute, operator, value });

describe("what is typed", () => {
  it("is a number, true or false where it looks like one, and a text in quotation marks", () => {
    expect(["7", " 2.5 ", "true", '"7"', "vip", "", "{}", "null"].map(valueOf)).toEqual([7, 2.5, true, "7", "vip", "", "{}", "null"]);
  });

  it("is shown so that it means the same again", () => {
    for (const value of [7, true, "7", "true", "vip", 'say "hi"', "a, b", ""]) expect(valueOf(shownOf(value))).toBe(value);
  });
});

describe("rows of conditions", () => {
  it("make the condition that the server takes", () => {
    expect(conditionOf([row("segment", "$eq", "vip"), row("age", "$gte", "18"), row("age", "$lt", "65"), row("plan", "unknown")])).toEqual({
      segment: "vip",
      age: { $gte: 18, $lt: 65 },
      plan: { $exists: false },
    });
    expect(conditionOf([row("country", "$in", 'NL, "7", 8, ,"a, b"')])).toEqual({ country: { $in: ["NL", "7", 8, "a, b"] } });
    expect(conditionOf([row("city", "$ne", "Rome"), row("city", "$ne", "Pisa")])).toEqual({
      $and: [{ city: { $ne: "Rome" } }, { city: { $ne: "Pisa" } }],
    });
  });

  it("without an attribute are left out, and none at all means everybody", () => {
    expect(conditionOf([row(" ", "$eq", "vip")])).toBeUndefined();
    expect(conditionOf([])).toBeUndefined();
  });

  it("come back from a condition that rows can say", () => {
    for (const rows of [
      [row("segment", "$eq", "vip"), row("age", "$gte", "18"), row("age", "$lt", "65"), row("plan", "known")],
      [row("city", "$ne", "Rome"), row("city", "$ne", "Pisa")],
      [row("country", "$nin", 'NL, "7", 8')],
    ])
      expect(rowsOf(conditionOf(rows))).toEqual(rows);
  });

  it("do not come of one that they cannot say", () => {
    for (const condition of [{ $or: [{ plan: "pro" }] }, { segment: ["vip"] }, { age: { $mod: 2 } }, { age: { $gt: [1] } }, [], "vip", null, { $and: {} }, { a: { $in: 3 } }])
      expect(rowsOf(condition)).toBeUndefined();
  });
});
