import { formatFinePercent, formatMoney, formatNumber } from "@/components";
import type { MetricKind } from "@/graph";

/** How values of a metric are written: a rate as percent, revenue as money, the rest as plain numbers. */
export type Write = (value: number) => string;

export function writerOf(kind: MetricKind, currency: string): Write {
  if (kind === "CONVERSION") return (value) => formatFinePercent(value);
  if (kind === "REVENUE") return (value) => formatMoney(value, currency);
  return (value) => formatNumber(value);
}

/** Percentage points: two decimals say enough, three digits of a small one too much. */
const formatPoints = (points: number) => formatNumber(Math.abs(points) < 10 ? Math.round(points * 100) / 100 : Math.round(points * 10) / 10);

const signed = (value: number, written: string) => (value > 0 ? `+${written}` : written);

/** Differences of the same metric, with their sign; of rates in percentage points. */
export function differenceWriterOf(kind: MetricKind, currency: string): Write {
  const write = writerOf(kind, currency);
  if (kind === "CONVERSION") return (value) => `${signed(value, formatPoints(value * 100))} pp`;
  return (value) => signed(value, write(value));
}

/** Places in the palette by variant: the control is always 0, the others follow in their order. */
export function colorsOf(variants: readonly { key: string; isControl: boolean }[]): Map<string, number> {
  const ordered = [...variants.filter(({ isControl }) => isControl), ...variants.filter(({ isControl }) => !isControl)];
  return new Map(ordered.map(({ key }, index) => [key, index]));
}
