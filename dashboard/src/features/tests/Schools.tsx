import {
  Badge,
  Card,
  DataTable,
  Empty,
  formatNumber,
  formatPercent,
  formatPValue,
  inWords,
  type Column,
} from "@/components";
import { differenceWriterOf, writerOf, type Write } from "./scale";
import type { Results, Test } from "./TestPage";

interface Props {
  test: Test;
  results: Results;
}

/** Both schools of statistics, from the same totals, side by side. */
export function Schools({ test, results }: Props) {
  return (
    <div className="columns">
      <Frequentist test={test} results={results} />
      <Bayesian test={test} results={results} />
    </div>
  );
}

type Comparison = NonNullable<Results["sequential"]>["comparisons"][number];
interface ComparedRow {
  name: string;
  mean: number | null;
  fixed: Comparison | undefined;
  always: Comparison | undefined;
}

function Frequentist({ test, results }: Props) {
  const { frequentist, sequential, pending } = results;
  const note = frequentist
    ? `${frequentist.method}, p ${formatPValue(frequentist.pValue)}, at ${formatPercent(frequentist.confidenceLevel)}`
    : "Not enough data yet";
  return (
    <Card
      title="Frequentist"
      note={note}
      tools={sequential && <Badge tone={sequential.significant ? "good" : "neutral"}>{sequential.significant ? "Significant at any look" : "Not significant yet"}</Badge>}
    >
      {frequentist || sequential ? (
        <>
          <DataTable caption="Frequentist results by variant" columns={frequentistColumns(test)} rows={compared(results)} keyOf={({ name }) => name} />
          <p className="muted">
            p, adjusted for the number of variants, and the fixed-size interval hold for one look, at the planned size. The other
            interval holds however often one looks.
          </p>
        </>
      ) : (
        <Empty title="Too little data for a test">{pending}</Empty>
      )}
    </Card>
  );
}

function compared({ totals, frequentist, sequential }: Results): ComparedRow[] {
  return totals.map(({ variant, mean }) => ({
    name: variant.name,
    mean: mean ?? null,
    fixed: frequentist?.comparisons.find((one) => one.variant.key === variant.key),
    always: sequential?.comparisons.find((one) => one.variant.key === variant.key),
  }));
}

const interval = (estimate: { low: number; high: number } | undefined, write: Write) =>
  estimate ? `${withoutUnit(write(estimate.low), write(estimate.high))} to ${write(estimate.high)}` : "–";

/** The low end without the unit that the high end repeats. */
const withoutUnit = (low: string, high: string) => {
  for (const unit of [" pp", "%"]) if (low.endsWith(unit) && high.endsWith(unit)) return low.slice(0, -unit.length);
  return low;
};

const shownDifference = (comparison: Comparison | undefined, differ: Write) =>
  comparison ? differ(comparison.difference.point) : "control";

function frequentistColumns(test: Test): Column<ComparedRow>[] {
  const currency = test.campaign?.currency ?? "";
  const write = writerOf(test.metric.kind, currency);
  const differ = differenceWriterOf(test.metric.kind, currency);
  return [
    { name: "Variant", value: ({ name }) => name },
    { name: test.metric.kind === "CONVERSION" ? "Rate" : "Mean", value: ({ mean }) => mean, show: ({ mean }) => (mean === null ? "–" : write(mean)), numeric: true },
    {
      name: "Difference",
      value: ({ fixed, always }) => (fixed ?? always)?.difference.point,
      show: ({ fixed, always }) => shownDifference(fixed ?? always, differ),
      numeric: true,
    },
    { name: "Fixed size", value: ({ fixed }) => interval(fixed?.difference, differ), numeric: true, minor: true },
    { name: "Any look", value: ({ always }) => interval(always?.difference, differ), numeric: true },
    {
      name: "p",
      value: ({ fixed }) => fixed?.adjustedPValue,
      show: ({ fixed }) => formatPValue(fixed?.adjustedPValue),
      numeric: true,
      minor: true,
    },
  ];
}

type Posterior = NonNullable<Results["bayesian"]>["variants"][number];

function Bayesian({ test, results }: Props) {
  const { bayesian, pending } = results;
  return (
    <Card title="Bayesian" note={bayesian ? `Model: ${inWords(bayesian.model)}` : "Not enough data yet"}>
      {bayesian ? (
        <>
          <DataTable caption="Bayesian results by variant" columns={bayesianColumns(test)} rows={bayesian.variants} keyOf={({ variant }) => variant.key} />
          <p className="muted">
            The expected loss is what choosing a variant costs on average, should another one be better, a unit.
          </p>
        </>
      ) : (
        <Empty title="There is no posterior yet">{pending}</Empty>
      )}
    </Card>
  );
}

function bayesianColumns(test: Test): Column<Posterior>[] {
  const currency = test.campaign?.currency ?? "";
  const write = writerOf(test.metric.kind, currency);
  return [
    { name: "Variant", value: ({ variant }) => variant.name },
    { name: "P(best)", value: ({ probabilityBest }) => probabilityBest, show: ({ probabilityBest }) => formatPercent(probabilityBest), numeric: true },
    {
      name: "P(beats control)",
      value: ({ probabilityBeatsControl }) => probabilityBeatsControl,
      show: ({ probabilityBeatsControl }) => formatPercent(probabilityBeatsControl),
      numeric: true,
      minor: true,
    },
    { name: "Credible", value: ({ mean }) => interval(mean, write), numeric: true },
    {
      name: "Expected loss",
      value: ({ expectedLoss }) => expectedLoss,
      show: ({ expectedLoss }) => (test.metric.kind === "CONVERSION" ? `${formatNumber(expectedLoss * 100)} pp` : write(expectedLoss)),
      numeric: true,
    },
  ];
}
