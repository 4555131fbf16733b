import { expect, it } from "vitest";
import { windowsOf } from "./windows";

const NOW = Date.parse("2026-11-24T08:30:00Z");

it("begins a window of days at midnight, today counted", () => {
  const { now, before, wholeBefore, apart } = windowsOf("7d", NOW);
  expect(now).toEqual({ from: "2026-11-18T00:00:00.000Z" });
  expect(before).toEqual({ from: "2026-11-11T00:00:00.000Z", to: "2026-11-17T08:30:00.000Z" });
  expect(wholeBefore).toEqual({ from: before?.from, to: now.from });
  expect(apart).toBe(7 * 86_400_000);
});

it("begins a window of hours at a full hour", () => {
  expect(windowsOf("24h", NOW).now.from).toBe("2026-11-23T09:00:00.000Z");
});

it.each(["24h", "7d", "30d", "90d"] as const)("compares %s with as long a time before", (span) => {
  const { now, before } = windowsOf(span, NOW);
  const length = (from: unknown, to: number) => to - Date.parse(String(from));
  expect(length(before?.from, Date.parse(String(before?.to)))).toBe(length(now.from, NOW));
});

it("compares everything with nothing", () => expect(windowsOf("all", NOW)).toEqual({ now: {}, before: null, wholeBefore: null, apart: 0 }));
