import { expect, it } from "vitest";
import { retentionOf } from "./Cohorts";

const WEEK = 7 * 86_400_000;
const cohort = { startsAt: "2026-11-02", size: 10, retained: [10, 2, 0, 0], retention: [1, 0.2, 0, 0] };
const now = Date.parse("2026-11-20T00:00:00Z");

it("gives a share for a week that has begun", () => expect(retentionOf(cohort, 1, WEEK, now)).toBe(0.2));
it("gives none, rather than zero, for a week to come", () => expect(retentionOf(cohort, 3, WEEK, now)).toBeNull());
