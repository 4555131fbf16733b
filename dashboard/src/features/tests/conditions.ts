/** A comparison of one attribute, as a row of the form: what is typed stays a text until it is sent. */
export interface Condition {
  attribute: string;
  operator: Operator;
  value: string;
}

export const OPERATORS = [
  { value: "$eq", name: "is" },
  { value: "$ne", name: "is not" },
  { value: "$in", name: "is one of" },
  { value: "$nin", name: "is none of" },
  { value: "$gt", name: "is more than" },
  { value: "$gte", name: "is at least" },
  { value: "$lt", name: "is less than" },
  { value: "$lte", name: "is at most" },
  { value: "known", name: "is known" },
  { value: "unknown", name: "is not known" },
] as const;

export type Operator = (typeof OPERATORS)[number]["value"];

export const NEW_CONDITION: Condition = { attribute: "", operator: "$eq", value: "" };

/** Whether a comparison takes a value. */
export const takesValue = (operator: Operator): boolean => operator !== "known" && operator !== "unknown";

const takesList = (operator: Operator): boolean => operator === "$in" || operator === "$nin";

const isSimple = (value: unknown): value is string | number | boolean => ["string", "number", "boolean"].includes(typeof value);

/** What is meant by a text: a number, true or false, what stands in quotation marks, else the text itself. */
export function valueOf(typed: string): string | number | boolean {
  const text = typed.trim();
  try {
    const value: unknown = JSON.parse(text);
    return isSimple(value) ? value : text;
  } catch {
    return text;
  }
}

/** The text by which a value is meant. */
export const shownOf = (value: string | number | boolean): string => (typeof value === "string" && valueOf(value) === value && !value.includes(",") ? value : JSON.stringify(value));

const PARTS = /"(?:[^"\\]|\\.)*"|[^,]+/g;

const listOf = (typed: string) => (typed.match(PARTS) ?? []).filter((part) => part.trim() !== "").map(valueOf);

function comparisonOf({ operator, value }: Condition): Record<string, unknown> {
  if (!takesValue(operator)) return { $exists: operator === "known" };
  return { [operator]: takesList(operator) ? listOf(value) : valueOf(value) };
}

/** The condition that all rows hold, as the server takes it; undefined where there is none: everybody. */
export function conditionOf(rows: readonly Condition[]): Record<string, unknown> | undefined {
  const named = rows.filter(({ attribute }) => attribute.trim() !== "");
  if (named.length === 0) return undefined;
  const whole: Record<string, Record<string, unknown>> = {};
  for (const row of named) {
    const comparison = comparisonOf(row);
    const before = whole[row.attribute.trim()] ?? {};
    if (Object.keys(comparison).some((operator) => operator in before)) return { $and: named.map(single) };
    whole[row.attribute.trim()] = { ...before, ...comparison };
  }
  return Object.fromEntries(Object.entries(whole).map(([name, comparison]) => [name, brief(comparison)]));
}

const single = (row: Condition) => ({ [row.attribute.trim()]: brief(comparisonOf(row)) });

const brief = (comparison: Record<string, unknown>): unknown =>
  "$eq" in comparison && Object.keys(comparison).length === 1 ? comparison.$eq : comparison;

/** The rows that say the same as a condition; undefined where rows cannot say it. */
export function rowsOf(condition: unknown): Condition[] | undefined {
  if (!isObject(condition)) return undefined;
  const rows: Condition[] = [];
  for (const [name, value] of Object.entries(condition)) {
    const found = name === "$and" ? rowsOfAll(value) : name.startsWith("$") ? undefined : rowsAbout(name, value);
    if (!found) return undefined;
    rows.push(...found);
  }
  return rows;
}

function rowsOfAll(conditions: unknown): Condition[] | undefined {
  if (!Array.isArray(conditions)) return undefined;
  const found = conditions.map(rowsOf);
  return found.every((rows) => rows !== undefined) ? found.flat() : undefined;
}

function rowsAbout(attribute: string, value: unknown): Condition[] | undefined {
  if (isSimple(value)) return [{ attribute, operator: "$eq", value: shownOf(value) }];
  if (!isObject(value)) return undefined;
  const rows = Object.entries(value).map(([operator, one]) => rowOf(attribute, operator, one));
  return rows.every((row) => row !== undefined) ? rows : undefined;
}

function rowOf(attribute: string, operator: string, value: unknown): Condition | undefined {
  if (operator === "$exists" && typeof value === "boolean") return { attribute, operator: value ? "known" : "unknown", value: "" };
  const known = OPERATORS.find((one) => one.value === operator && takesValue(one.value))?.value;
  if (!known) return undefined;
  if (takesList(known)) {
    return Array.isArray(value) && value.every(isSimple) ? { attribute, operator: known, value: value.map(shownOf).join(", ") } : undefined;
  }
  return isSimple(value) ? { attribute, operator: known, value: shownOf(value) } : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
