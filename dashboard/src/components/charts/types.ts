/** What charts are given. Colours are places in the palette, from 0; the same thing has the same place everywhere. */
export interface Drawn {
  /** What the chart says, in a sentence, for those who cannot see it. */
  label: string;
  height?: number;
}

export interface Point {
  /** A number, or a time in milliseconds. */
  x: number;
  /** null leaves a gap. */
  y: number | null;
  low?: number | null;
  high?: number | null;
}

export interface Line {
  name: string;
  points: readonly Point[];
  color?: number;
  dashed?: boolean;
  /** Fill down to zero. */
  filled?: boolean;
}

export interface Reference {
  value: number;
  name?: string;
}

export interface LineChartProps extends Drawn {
  lines: readonly Line[];
  /** "time": x is milliseconds, shown in UTC. */
  x?: "time" | "number";
  formatX?: (x: number) => string;
  formatY: (y: number) => string;
  /** As the axis, unless given. */
  formatHint?: (y: number) => string;
  /** Whether the y axis begins at zero; by default it does. */
  fromZero?: boolean;
  /** Widths of lines between points: "step" for what holds until the next one. */
  curve?: "straight" | "step";
  /** Horizontal lines. */
  references?: readonly Reference[];
  /** Vertical lines. */
  marks?: readonly Reference[];
  /** Names of the axes. */
  nameX?: string;
  nameY?: string;
}

export interface Bar {
  name: string;
  value: number | null;
  color?: number;
  low?: number;
  high?: number;
}

export interface BarChartProps extends Drawn {
  bars: readonly Bar[];
  format: (value: number) => string;
}

export interface HeatMapProps extends Drawn {
  rows: readonly string[];
  columns: readonly string[];
  /** By row, then column; null where there is nothing. */
  values: readonly (readonly (number | null)[])[];
  format: (value: number) => string;
  /** The value with the strongest colour; the largest one unless given. */
  strongest?: number;
  nameX?: string;
  nameY?: string;
}

export interface Interval {
  name: string;
  point: number;
  low: number;
  high: number;
  color?: number;
}

export interface IntervalChartProps extends Drawn {
  intervals: readonly Interval[];
  format: (value: number) => string;
  references?: readonly Reference[];
  nameX?: string;
}

export interface Share {
  x: number;
  /** By series, in their order; they sum to 1. */
  shares: readonly number[];
}

export interface StackedAreaProps extends Drawn {
  names: readonly string[];
  points: readonly Share[];
  formatX?: (x: number) => string;
}
