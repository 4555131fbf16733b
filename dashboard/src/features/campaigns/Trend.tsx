import type { UseQueryState } from "urql";
import { Answer, Empty, Figure, formatUtcDate, formatUtcHour, Segmented, Select, Skeleton, type Table } from "@/components";
import { LineChart, type Line } from "@/components/charts";
import type { CampaignMetric, Interval } from "@/graph";
import { figureColumns } from "./columns";
import { INTERVAL_OPTIONS } from "./filters";
import { measureOf, MEASURES, numberOf, write, writeBriefly, type Figures, type Measure } from "./measures";

interface TrendPoint {
  startsAt: string;
  metrics: Figures;
}

interface TrendProps {
  result: UseQueryState<unknown>;
  points: readonly TrendPoint[];
  /** Of the window before, drawn where it would be in this one. */
  before: readonly TrendPoint[];
  apart: number;
  interval: Interval;
  metric: CampaignMetric;
  currency: string;
  file: string;
  onChange: (change: { interval?: Interval; metric?: CampaignMetric }) => void;
  onRetry: () => void;
}

/** One metric over time, beside what it was in the window before. */
export function Trend({ result, points, before, apart, interval, metric, currency, file, onChange, onRetry }: TrendProps) {
  const measure = measureOf(metric);
  return (
    <Figure
      title={`${measure.name} by ${interval.toLowerCase()}`}
      note="Hours, days and weeks in UTC; the last one is not over yet."
      file={file}
      table={tableOf(points, currency)}
      tools={
        <>
          <Select
            label="Metric"
            options={MEASURES.map((one) => ({ value: one.metric, name: one.name }))}
            value={metric}
            onChange={(value) => onChange({ metric: value })}
          />
          <Segmented
            label="Interval"
            options={INTERVAL_OPTIONS}
            value={interval}
            onChange={(value) => onChange({ interval: value })}
          />
        </>
      }
    >
      <Answer of={result} onRetry={onRetry} skeleton={<Skeleton height={300} />}>
        {() => <Drawing {...{ points, before, apart, measure, currency }} />}
      </Answer>
    </Figure>
  );
}

interface DrawingProps extends Pick<TrendProps, "points" | "before" | "apart" | "currency"> {
  measure: Measure;
}

function Drawing({ points, before, apart, measure, currency }: DrawingProps) {
  if (points.length === 0) return <Empty title="Nothing happened in this window" />;
  const lines: Line[] = [
    { name: "This window", points: points.map(pointOf(measure, 0)), filled: before.length === 0 },
    ...(before.length > 0 ? [{ name: "The window before", points: before.map(pointOf(measure, apart)), color: 5, dashed: true }] : []),
  ];
  const last = points.at(-1);
  const label = `${measure.name} over time; last ${write(last ? numberOf(last.metrics, measure) : null, measure, currency)}.`;
  return (
    <LineChart
      label={label}
      lines={lines}
      height={300}
      formatY={(value) => writeBriefly(value, measure, currency)}
      formatHint={(value) => write(value, measure, currency)}
    />
  );
}

const pointOf = (measure: Measure, later: number) => (point: TrendPoint) => ({
  x: Date.parse(point.startsAt) + later,
  y: numberOf(point.metrics, measure),
});

const timeOf = ({ startsAt }: TrendPoint) =>
  startsAt.includes("T00:00") ? formatUtcDate(startsAt) : formatUtcHour(startsAt);

const tableOf = (points: readonly TrendPoint[], currency: string): Table<TrendPoint> => ({
  rows: points,
  columns: [{ name: "From (UTC)", value: ({ startsAt }) => startsAt, show: timeOf }, ...figureColumns(currency)],
});
