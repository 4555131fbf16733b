import type { AllocationPolicy, CreateTestInput, EventType, MetricKind } from "@/graph";
import { conditionOf, NEW_CONDITION, rowsOf, valueOf, type Condition } from "./conditions";

export const POLICIES = [
  "FIXED",
  "THOMPSON",
  "TOP_TWO_THOMPSON",
  "UCB",
  "EPSILON_GREEDY",
  "CONTEXTUAL_THOMPSON",
] as const satisfies readonly AllocationPolicy[];
export const KINDS = ["CONVERSION", "REVENUE", "COUNT", "RATIO"] as const satisfies readonly MetricKind[];
export const EVENTS = [
  "CONVERTED",
  "ACTIVATED",
  "CLICKED",
  "OPENED",
  "DELIVERED",
  "SENT",
  "GEOFENCE_ENTERED",
] as const satisfies readonly EventType[];

export interface VariantDraft {
  key: string;
  name: string;
  /** In percent, as typed. */
  weight: string;
  isControl: boolean;
  payload: PayloadDraft;
}

export const PAYLOADS = [
  { value: "none", name: "None: the key" },
  { value: "string", name: "Text" },
  { value: "number", name: "Number" },
  { value: "boolean", name: "True or false" },
  { value: "object", name: "Object" },
  { value: "json", name: "JSON" },
] as const;

/** What a variant's flag is: of one type, as typed. */
export interface PayloadDraft {
  type: (typeof PAYLOADS)[number]["value"];
  /** The text, the number, "true" or "false", or the JSON. */
  text: string;
  /** An object's fields. */
  entries: readonly { name: string; value: string }[];
}

/** Whom a test is for: rows that all hold, or JSON as typed. */
export interface TargetingDraft {
  rows: readonly Condition[];
  json: string;
  asJson: boolean;
}

export interface MetricDraft {
  key: string;
  name: string;
  kind: MetricKind;
  event: EventType;
  denominator: EventType;
  higherIsBetter: boolean;
  windowHours: string;
}

export interface GuardrailDraft extends MetricDraft {
  /** In percent, as typed. */
  margin: string;
  stops: boolean;
}

/** A test as typed: numbers are texts, shares are percents. */
export interface TestDraft {
  key: string;
  name: string;
  hypothesis: string;
  campaignId: string;
  variants: VariantDraft[];
  metric: MetricDraft;
  guardrails: GuardrailDraft[];
  confidenceLevel: string;
  power: string;
  baseline: string;
  minimumDetectableEffect: string;
  targetSampleSize: string;
  allocationPolicy: AllocationPolicy;
  floor: string;
  reallocateEveryMinutes: string;
  discount: string;
  contextAttributes: string;
  coverage: string;
  holdout: string;
  targeting: TargetingDraft;
}

const METRIC: MetricDraft = {
  key: "conversion",
  name: "Conversion",
  kind: "CONVERSION",
  event: "CONVERTED",
  denominator: "OPENED",
  higherIsBetter: true,
  windowHours: "72",
};

export const NO_PAYLOAD: PayloadDraft = { type: "none", text: "", entries: [{ name: "", value: "" }] };

export const EMPTY: TestDraft = {
  key: "",
  name: "",
  hypothesis: "",
  campaignId: "",
  variants: [
    { key: "control", name: "Control", weight: "50", isControl: true, payload: NO_PAYLOAD },
    { key: "treatment", name: "Treatment", weight: "50", isControl: false, payload: NO_PAYLOAD },
  ],
  metric: METRIC,
  guardrails: [],
  confidenceLevel: "95",
  power: "80",
  baseline: "",
  minimumDetectableEffect: "",
  targetSampleSize: "",
  allocationPolicy: "FIXED",
  floor: "",
  reallocateEveryMinutes: "60",
  discount: "",
  contextAttributes: "",
  coverage: "100",
  holdout: "0",
  targeting: { rows: [], json: "", asJson: false },
};

export const NEW_GUARDRAIL: GuardrailDraft = {
  ...METRIC,
  key: "",
  name: "",
  margin: "",
  stops: false,
};

/** A slug of a name: what a key may be. */
export const slugOf = (name: string): string =>
  name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 64);

const SPLIT_DECIMALS = 4;

/** Equal shares in percent that sum to 100 as typed. */
export function equalWeights(count: number): string[] {
  const unit = 10 ** SPLIT_DECIMALS;
  const each = Math.floor((100 * unit) / count) / unit;
  const first = Number((100 - each * (count - 1)).toFixed(SPLIT_DECIMALS));
  return Array.from({ length: count }, (_, index) => String(index === 0 ? first : each));
}

/** What could not be read, by the path of its field. */
export type Problems = Record<string, string>;

class Reading {
  readonly problems: Problems = {};

  number(path: string, typed: string, divisor = 1): number | undefined {
    if (typed.trim() === "") return undefined;
    const value = Number(typed.replace(",", "."));
    if (Number.isFinite(value)) return Number((value / divisor).toPrecision(12));
    this.problems[path] = "A number, please.";
    return undefined;
  }

  json(path: string, typed: string): unknown {
    if (typed.trim() === "") return undefined;
    try {
      return JSON.parse(typed) as unknown;
    } catch {
      this.problems[path] = 'JSON, please, such as {"title": "5 dollars back"}.';
      return undefined;
    }
  }
}

/** The mutation's input of what was typed, and what could not be read of it. */
export function inputOf(draft: TestDraft): { input: CreateTestInput; problems: Problems } {
  const reading = new Reading();
  const number = reading.number.bind(reading);
  const metricOf = (metric: MetricDraft, path: string) => ({
    key: metric.key,
    name: metric.name || metric.key,
    kind: metric.kind,
    event: metric.event,
    ...(metric.kind === "RATIO" ? { denominator: metric.denominator } : {}),
    higherIsBetter: metric.higherIsBetter,
    ...given("windowHours", number(`${path}.windowHours`, metric.windowHours)),
  });
  const adaptive = draft.allocationPolicy !== "FIXED";
  const attributes = draft.contextAttributes.split(",").map((one) => one.trim()).filter(Boolean);
  const input: CreateTestInput = {
    key: draft.key,
    name: draft.name,
    ...given("hypothesis", draft.hypothesis || undefined),
    ...given("campaignId", draft.campaignId || undefined),
    variants: draft.variants.map((variant, index) => ({
      key: variant.key,
      name: variant.name || variant.key,
      weight: number(`variants.${index}.weight`, variant.weight, 100) ?? 0,
      isControl: variant.isControl,
      ...given("payload", payloadOf(reading, `variants.${index}.payload`, variant.payload)),
    })),
    metric: metricOf(draft.metric, "metric"),
    guardrails: draft.guardrails.map((guardrail, index) => ({
      ...metricOf(guardrail, `guardrails.${index}`),
      ...given("margin", number(`guardrails.${index}.margin`, guardrail.margin, 100)),
      stops: guardrail.stops,
    })),
    ...given("confidenceLevel", number("confidenceLevel", draft.confidenceLevel, 100)),
    ...given("power", number("power", draft.power, 100)),
    ...given("baseline", number("baseline", draft.baseline, draft.metric.kind === "CONVERSION" ? 100 : 1)),
    ...given("minimumDetectableEffect", number("minimumDetectableEffect", draft.minimumDetectableEffect, 100)),
    ...given("targetSampleSize", number("targetSampleSize", draft.targetSampleSize)),
    allocationPolicy: draft.allocationPolicy,
    ...(adaptive ? given("floor", number("floor", draft.floor, 100)) : {}),
    ...(adaptive ? given("reallocateEveryMinutes", number("reallocateEveryMinutes", draft.reallocateEveryMinutes)) : {}),
    ...(adaptive ? given("discount", number("discount", draft.discount)) : {}),
    ...(attributes.length > 0 ? { contextAttributes: attributes } : {}),
    ...given("coverage", number("coverage", draft.coverage, 100)),
    ...given("holdout", number("holdout", draft.holdout, 100)),
    ...given("targeting", targetingOf(reading, draft.targeting)),
  };
  return { input, problems: reading.problems };
}

function payloadOf(reading: Reading, path: string, { type, text, entries }: PayloadDraft): unknown {
  switch (type) {
    case "none":
      return undefined;
    case "string":
      return text;
    case "number":
      if (text.trim() === "") reading.problems[path] = "A number, please.";
      return reading.number(path, text);
    case "boolean":
      return text === "true";
    case "object":
      return Object.fromEntries(entries.filter(({ name }) => name.trim() !== "").map(({ name, value }) => [name.trim(), valueOf(value)]));
    case "json":
      return reading.json(path, text);
  }
}

const targetingOf = (reading: Reading, { rows, json, asJson }: TargetingDraft): unknown => (asJson ? reading.json("targeting", json) : conditionOf(rows));

/** Targeting as JSON where it was in rows, and in rows where JSON can be said in them; undefined where it cannot. */
export function turned({ rows, json, asJson }: TargetingDraft): TargetingDraft | undefined {
  if (!asJson) {
    const condition = conditionOf(rows);
    return { rows, json: condition ? JSON.stringify(condition) : "", asJson: true };
  }
  const found = json.trim() === "" ? [NEW_CONDITION] : rowsOf(parsed(json));
  return found && { rows: found, json, asJson: false };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

const given = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Value>>;

/** Refusals by the path of their field, without the argument's name; under "" what belongs to none. */
export function problemsOf(errors: readonly { message: string; path: readonly string[] }[]): Problems {
  const problems: Problems = {};
  for (const { message, path } of errors) {
    const name = (path[0] === "input" ? path.slice(1) : path).join(".");
    problems[name] = problems[name] ? `${problems[name]} ${message}` : message;
  }
  return problems;
}
