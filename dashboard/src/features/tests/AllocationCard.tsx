import { useQuery, useSubscription } from "urql";
import {
  Answer,
  Card,
  DataTable,
  Empty,
  Figure,
  formatCount,
  formatPercent,
  formatUtcHour,
  MISSING,
  Notice,
  type Column,
} from "@/components";
import { StackedArea, type Share } from "@/components/charts";
import { useKeptFresh, type TestsAllocationQuery, type TestsSharesFragment } from "@/graph";
import { ALLOCATION_LIVE, TEST_ALLOCATION } from "./documents";
import { differenceWriterOf, writerOf } from "./scale";
import type { Test } from "./TestPage";

type Adaptive = NonNullable<NonNullable<TestsAllocationQuery["test"]>["adaptive"]>;
type Estimate = Adaptive["estimates"][number];
type Shares = TestsSharesFragment;

const FRESH_SECONDS = 30;
const ESTIMATORS: Record<Estimate["estimator"], string> = {
  NAIVE: "Naive means",
  IPW: "Inverse propensity (IPW)",
  AW_AIPW: "Adaptively weighted (AW-AIPW)",
};

/** How a bandit shared its traffic, and what can be believed of its variants afterwards. */
export function AllocationCard({ test }: { test: Test }) {
  const [result, ask] = useQuery({ query: TEST_ALLOCATION, variables: { id: test.id } });
  const [{ data: live }] = useSubscription({ query: ALLOCATION_LIVE, variables: { id: test.id } });
  useKeptFresh(ask, FRESH_SECONDS);
  return (
    <Answer of={result} onRetry={ask}>
      {(data) =>
        data.test && (
          <>
            <SharesFigure test={test} versions={withNewest(data.test.allocationHistory.nodes, live?.allocation)} />
            {data.test.adaptive && <Estimates test={test} adaptive={data.test.adaptive} />}
          </>
        )
      }
    </Answer>
  );
}

/** Versions from the first to the newest. */
export function withNewest(history: readonly Shares[], newest: Shares | undefined): Shares[] {
  const byVersion = new Map([...history, ...(newest ? [newest] : [])].map((one) => [one.policyVersion, one]));
  return [...byVersion.values()].sort((one, other) => one.policyVersion - other.policyVersion);
}

function SharesFigure({ test, versions }: { test: Test; versions: readonly Shares[] }) {
  const shareOf = (version: Shares, key: string) => version.shares.find(({ variant }) => variant.key === key)?.probability ?? 0;
  const points = versions.map((version) => ({
    x: Date.parse(version.createdAt),
    shares: test.variants.map(({ key }) => shareOf(version, key)),
  }));
  const newest = versions.at(-1);
  const now = newest && test.variants.map(({ key, name }) => `${name} ${formatPercent(shareOf(newest, key))}`).join(", ");
  return (
    <Figure
      title="Allocation over time"
      note={newest && `Now, by policy version ${newest.policyVersion}: ${now}. Nobody gets less than ${formatPercent(newest.floor)}.`}
      file={`${test.key}-allocation`}
      table={{
        columns: [
          { name: "Since", value: ({ createdAt }) => createdAt, show: ({ createdAt }) => formatUtcHour(createdAt) },
          { name: "Version", value: ({ policyVersion }) => policyVersion, numeric: true },
          ...test.variants.map(
            ({ key, name }): Column<Shares> => ({
              name,
              value: (version) => shareOf(version, key),
              show: (version) => formatPercent(shareOf(version, key)),
              numeric: true,
            }),
          ),
        ],
        rows: versions,
      }}
    >
      {points.length > 0 ? (
        <StackedArea
          label={`Shares of traffic over ${versions.length} policy versions; now ${now ?? "unknown"}`}
          names={test.variants.map(({ name }) => name)}
          points={withPresent(points, Date.parse(test.results.asOf))}
          formatX={(x) => formatUtcHour(x)}
        />
      ) : (
        <Empty title="It has not shared any traffic yet">Start it.</Empty>
      )}
    </Figure>
  );
}

/** The newest shares hold until now. */
const withPresent = (points: readonly Share[], now: number): Share[] => {
  const last = points.at(-1);
  return last && now > last.x ? [...points, { x: now, shares: last.shares }] : [...points];
};

function Estimates({ test, adaptive }: { test: Test; adaptive: Adaptive }) {
  const { units, openUnits, policyVersions } = adaptive;
  const note = `${formatCount(units)} units over ${formatCount(policyVersions)} policy versions; ${formatCount(openUnits)} still open`;
  return (
    <Card title="What the bandit's log tells" note={note}>
      <div className="stack">
        {adaptive.estimates.map((estimate) => (
          <EstimateTable key={estimate.estimator} test={test} estimate={estimate} />
        ))}
      </div>
    </Card>
  );
}

interface Row {
  name: string;
  value: { point: number; low: number; high: number } | null;
  difference: { point: number; low: number; high: number } | null;
}

function EstimateTable({ test, estimate }: { test: Test; estimate: Estimate }) {
  const currency = test.campaign?.currency ?? "";
  const write = writerOf(test.metric.kind, currency);
  const differ = differenceWriterOf(test.metric.kind, currency);
  const rows: Row[] = estimate.values.map(({ variant, value }) => ({
    name: variant.name,
    value,
    difference: estimate.differences.find((one) => one.variant.key === variant.key)?.difference ?? null,
  }));
  const title = ESTIMATORS[estimate.estimator];
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {estimate.warning && <Notice tone="warn">{estimate.warning}</Notice>}
      {estimate.unavailable ? (
        <Notice>{estimate.unavailable}</Notice>
      ) : (
        <DataTable
          caption={`${title} by variant`}
          rows={rows}
          keyOf={({ name }) => name}
          columns={[
            { name: "Variant", value: ({ name }) => name },
            { name: "Mean", value: ({ value }) => value?.point, show: ({ value }) => (value ? write(value.point) : MISSING), numeric: true },
            { name: "Interval", value: ({ value }) => written(value, write), numeric: true },
            { name: "Against the control", value: ({ difference }) => written(difference, differ), numeric: true },
          ]}
        />
      )}
    </section>
  );
}

const written = (estimate: Row["value"], write: (value: number) => string) =>
  estimate ? `${write(estimate.low)} to ${write(estimate.high)}` : MISSING;
