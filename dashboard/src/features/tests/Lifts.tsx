import { useState } from "react";
import { Empty, Figure, formatChange, Segmented } from "@/components";
import { IntervalChart, type Interval } from "@/components/charts";
import { colorsOf } from "./scale";
import type { Results, Test } from "./TestPage";

const SOURCES = ["always", "fixed", "bayesian"] as const;
type Source = (typeof SOURCES)[number];
const NAMES: Record<Source, string> = { always: "Always valid", fixed: "Fixed size", bayesian: "Bayesian" };

/** How much better each treatment is than the control, relative, with its interval. */
export function Lifts({ test, results }: { test: Test; results: Results }) {
  const [source, setSource] = useState<Source>("always");
  const lifts = liftsOf(results, source, colorsOf(test.variants));
  return (
    <Figure
      title="Lift over the control"
      note="Relative, with its interval; the line is no difference"
      file={`${test.key}-lift`}
      table={{
        columns: [
          { name: "Variant", value: ({ name }) => name },
          { name: "Lift", value: ({ point }) => point, show: ({ point }) => formatChange(point), numeric: true },
          { name: "Low", value: ({ low }) => low, show: ({ low }) => formatChange(low), numeric: true },
          { name: "High", value: ({ high }) => high, show: ({ high }) => formatChange(high), numeric: true },
        ],
        rows: lifts,
      }}
    >
      <div className="chart-tools">
        <Segmented label="Interval" options={SOURCES.map((value) => ({ value, name: NAMES[value] }))} value={source} onChange={setSource} />
      </div>
      {lifts.length > 0 ? (
        <IntervalChart label={`Lift over the control: ${lifts.map(inSentence).join("; ")}`} intervals={lifts} format={(value) => formatChange(value)} />
      ) : (
        <Empty title="No lift can be told yet">It needs more units, and a control above zero.</Empty>
      )}
    </Figure>
  );
}

const inSentence = ({ name, point, low, high }: Interval) =>
  `${name} ${formatChange(point)}, from ${formatChange(low)} to ${formatChange(high)}`;

export function liftsOf({ frequentist, sequential, bayesian }: Results, source: Source, colors: Map<string, number>): Interval[] {
  const found =
    source === "bayesian"
      ? bayesian?.variants.map(({ variant, liftOverControl }) => ({ variant, lift: liftOverControl }))
      : (source === "fixed" ? frequentist : sequential)?.comparisons;
  return (found ?? []).flatMap(({ variant, lift }) =>
    lift && !variant.isControl ? [{ name: variant.name, ...plain(lift), color: colors.get(variant.key) ?? 0 }] : [],
  );
}

const plain = ({ point, low, high }: { point: number; low: number; high: number }) => ({ point, low, high });
