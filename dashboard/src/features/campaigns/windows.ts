import { useEffect, useMemo, useState } from "react";
import type { Window } from "@/graph";

export const SPANS = ["24h", "7d", "30d", "90d", "all"] as const;
export type Span = (typeof SPANS)[number];

export const SPAN_NAMES: Record<Span, string> = {
  "24h": "24 hours",
  "7d": "7 days",
  "30d": "30 days",
  "90d": "90 days",
  all: "Everything",
};

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DAYS: Record<Exclude<Span, "24h" | "all">, number> = { "7d": 7, "30d": 30, "90d": 90 };
const REFRESH = 60_000;

export interface Windows {
  /** What is looked at, up to now; without a start it is everything. */
  now: Window;
  /** As long a time before it, up to where that one is now; null where everything is looked at. */
  before: Window | null;
  /** The window before to its very end, so that it stays the same for an hour or a day. */
  wholeBefore: Window | null;
  /** How far apart the two are, milliseconds. */
  apart: number;
}

const iso = (time: number) => new Date(time).toISOString();

/** A window of whole hours or days (UTC) up to `now`, so that only its last interval is cut. */
export function windowsOf(span: Span, now: number): Windows {
  if (span === "all") return { now: {}, before: null, wholeBefore: null, apart: 0 };
  const [unit, count] = span === "24h" ? [HOUR, 24] : [DAY, DAYS[span]];
  const from = Math.floor(now / unit) * unit - (count - 1) * unit;
  const apart = count * unit;
  return {
    now: { from: iso(from) },
    before: { from: iso(from - apart), to: iso(now - apart) },
    wholeBefore: { from: iso(from - apart), to: iso(from) },
    apart,
  };
}

/** The windows of a span, moving on by the minute. */
export function useWindows(span: Span): Windows {
  const [now, setNow] = useState(() => Math.floor(Date.now() / REFRESH) * REFRESH);
  useEffect(() => {
    const timer = setInterval(() => setNow(Math.floor(Date.now() / REFRESH) * REFRESH), REFRESH);
    return () => clearInterval(timer);
  }, []);
  return useMemo(() => windowsOf(span, now), [span, now]);
}
