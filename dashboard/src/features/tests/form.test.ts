import { describe, expect, it } from "vitest";
import { EMPTY, equalWeights, inputOf, NO_PAYLOAD, problemsOf, slugOf, turned, type PayloadDraft } from "./form";

describe("a test as typed", () => {
  it("becomes the mutation's input, percents as fractions, and leaves out what was left empty", () => {
    const { input, problems } = inputOf({ ...EMPTY, key: "spring", name: "Spring", baseline: "5", minimumDetectableEffect: "12,5" });
    expect(problems).toEqual({});
    expect(input).toMatchObject({
      key: "spring",
      baseline: 0.05,
      minimumDetectableEffect: 0.125,
      coverage: 1,
      holdout: 0,
      confidenceLevel: 0.95,
      allocationPolicy: "FIXED",
    });
    expect(input.variants.map(({ weight }) => weight)).toEqual([0.5, 0.5]);
    for (const absent of ["hypothesis", "campaignId", "targetSampleSize", "floor", "discount", "targeting", "contextAttributes"])
      expect(input).not.toHaveProperty(absent);
  });

  it("says at which field a number or JSON could not be read", () => {
    const variants = EMPTY.variants.map((one, index) => (index === 1 ? { ...one, payload: { ...NO_PAYLOAD, type: "json" as const, text: "{title}" }, weight: "half" } : one));
    const { problems } = inputOf({ ...EMPTY, variants, baseline: "many" });
    expect(Object.keys(problems).sort()).toEqual(["baseline", "variants.1.payload", "variants.1.weight"]);
  });

  it("sends a bandit's own settings only for a bandit, a denominator only for a ratio", () => {
    const bandit = inputOf({ ...EMPTY, allocationPolicy: "CONTEXTUAL_THOMPSON", floor: "5", contextAttributes: "age, loyal ," }).input;
    expect(bandit).toMatchObject({ floor: 0.05, reallocateEveryMinutes: 60, contextAttributes: ["age", "loyal"] });
    expect(inputOf({ ...EMPTY, floor: "5" }).input).not.toHaveProperty("floor");
    expect(inputOf({ ...EMPTY, metric: { ...EMPTY.metric, kind: "RATIO" } }).input.metric).toHaveProperty("denominator", "OPENED");
    expect(inputOf(EMPTY).input.metric).not.toHaveProperty("denominator");
  });
});

describe("a payload", () => {
  const read = (payload: Partial<PayloadDraft>) => {
    const variants = EMPTY.variants.map((one, index) => (index === 0 ? { ...one, payload: { ...NO_PAYLOAD, ...payload } } : one));
    const { input, problems } = inputOf({ ...EMPTY, variants });
    return { payload: input.variants[0]?.payload, problems };
  };

  it("is of the type that was chosen", () => {
    expect(read({}).payload).toBeUndefined();
    expect(read({ type: "string", text: "7" }).payload).toBe("7");
    expect(read({ type: "number", text: "2,5" }).payload).toBe(2.5);
    expect(read({ type: "boolean", text: "false" }).payload).toBe(false);
    expect(read({ type: "json", text: "[1]" }).payload).toEqual([1]);
    const entries = [{ name: "title", value: "5 back" }, { name: "bold", value: "true" }, { name: "size", value: "7" }, { name: " ", value: "x" }];
    expect(read({ type: "object", entries }).payload).toEqual({ title: "5 back", bold: true, size: 7 });
  });

  it("that is a number has one", () => {
    expect(read({ type: "number", text: " " }).problems).toEqual({ "variants.0.payload": "A number, please." });
  });
});

describe("targeting", () => {
  const rows = [{ attribute: "segment", operator: "$eq" as const, value: "vip" }];

  it("is sent as its rows, or as JSON", () => {
    expect(inputOf({ ...EMPTY, targeting: { rows, json: "", asJson: false } }).input.targeting).toEqual({ segment: "vip" });
    expect(inputOf({ ...EMPTY, targeting: { rows, json: '{"a": 1}', asJson: true } }).input.targeting).toEqual({ a: 1 });
    expect(inputOf({ ...EMPTY, targeting: { rows, json: "{", asJson: true } }).problems).toHaveProperty("targeting");
  });

  it("turns from rows to JSON and back, where rows can say it", () => {
    const json = turned({ rows, json: "", asJson: false });
    expect(json).toEqual({ rows, json: '{"segment":"vip"}', asJson: true });
    expect(json && turned(json)).toMatchObject({ rows, asJson: false });
    expect(turned({ rows, json: '{"$or": []}', asJson: true })).toBeUndefined();
    expect(turned({ rows, json: "{", asJson: true })).toBeUndefined();
    expect(turned({ rows, json: " ", asJson: true })?.rows).toHaveLength(1);
  });
});

it("shares that are equal sum to 100 as typed", () => {
  for (const count of [2, 3, 7, 11]) {
    const sum = equalWeights(count).reduce((total, weight) => total + Number(weight), 0);
    expect(sum).toBeCloseTo(100, 9);
  }
});

it("a key is made of a name in any language that has letters for it", () => {
  expect(slugOf("Ein wärmerer Text!")).toBe("ein-warmerer-text");
  expect(slugOf("  5 $ back  ")).toBe("5-back");
});

it("refusals are told at their field, those of one field together", () => {
  const problems = problemsOf([
    { message: "Too many.", path: ["input", "variants", "1", "weight"] },
    { message: "Sum to 1.", path: ["variants", "1", "weight"] },
    { message: "No.", path: [] },
  ]);
  expect(problems).toEqual({ "variants.1.weight": "Too many. Sum to 1.", "": "No." });
});
