import { scaleLinear, scaleUtc } from "@visx/scale";
import { formatUtcDate, formatUtcDay, formatUtcHour } from "../../format";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export interface AxisScale {
  at: (value: number) => number;
  ticks: number[];
  format: (value: number) => string;
}

export function timeScale(domain: [number, number], range: [number, number]): AxisScale {
  const scale = scaleUtc<number>({ domain: domain.map((time) => new Date(time)), range });
  const most = Math.max(2, Math.floor((range[1] - range[0]) / 62));
  const hours = domain[1] - domain[0] < 2 * DAY;
  const named = (tick: number) => hours || tick % DAY === 0;
  return {
    at: (value) => scale(new Date(value)),
    ticks: timeTicks((count) => scale.ticks(count).map(Number).filter(named), most),
    format: (value) => (hours ? hourOf(value) : formatUtcDay(value)),
  };
}

/** As many as fit: asked for a few, a time scale may give only the first of a month. */
function timeTicks(ticksFor: (count: number) => number[], most: number): number[] {
  for (let count = 12; count > 1; count -= 1) {
    const ticks = ticksFor(count);
    if (ticks.length <= most && ticks.length > 1) return ticks;
  }
  const ticks = ticksFor(12);
  const every = Math.ceil(ticks.length / most);
  return ticks.filter((_, index) => index % every === 0);
}

const clock = new Intl.DateTimeFormat(navigator.language, { hour: "numeric", minute: "2-digit", timeZone: "UTC" });
const hourOf = (value: number) => (value % DAY === 0 ? formatUtcDay(value) : clock.format(value));

/** A moment in UTC, with its hour where it has one. */
export const formatUtc = (value: number): string => (value % DAY === 0 ? formatUtcDate(value) : formatUtcHour(value));

export function linearScale(
  domain: [number, number],
  range: [number, number],
  format: (value: number) => string,
  count: number,
  nice = true,
): AxisScale {
  const scale = scaleLinear<number>({ domain, range, nice: nice && count });
  return { at: scale, ticks: scale.ticks(count), format };
}

/** From the least to the greatest of some numbers; never empty. */
export function extent(values: readonly number[], always: readonly number[] = []): [number, number] {
  const all = [...values, ...always].filter(Number.isFinite);
  if (all.length === 0) return [0, 1];
  const low = all.reduce((a, b) => Math.min(a, b));
  const high = all.reduce((a, b) => Math.max(a, b));
  return low === high ? [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2] : [low, high];
}
