import { useMemo, useState } from "react";
import { useQuery } from "urql";
import { Answer, Empty, Figure, formatCount, formatUtcHour, Select, type Column } from "@/components";
import { LineChart, type Line } from "@/components/charts";
import { useKeptFresh, type TestsAnalysesQuery } from "@/graph";
import { TEST_ANALYSES } from "./documents";
import { differenceWriterOf } from "./scale";
import type { Results, Test } from "./TestPage";

type Analysis = NonNullable<TestsAnalysesQuery["test"]>["analyses"]["nodes"][number];

/** One look at the test: the difference then, with both intervals. */
export interface Look {
  at: number;
  exposed: number;
  point: number;
  fixedLow: number | null;
  fixedHigh: number | null;
  alwaysLow: number;
  alwaysHigh: number;
}

const FRESH_SECONDS = 60;

/** The difference look by look: the fixed-size interval crosses zero again and again, the always-valid one seldom does. */
export function Course({ test, results }: { test: Test; results: Results }) {
  const treatments = test.variants.filter(({ isControl }) => !isControl);
  const [chosen, setChosen] = useState(treatments[0]?.key ?? "");
  const [answer, ask] = useQuery({ query: TEST_ANALYSES, variables: { id: test.id } });
  useKeptFresh(ask, FRESH_SECONDS);
  const seen = useSeen(results);
  const saved = answer.data?.test?.analyses.nodes;
  const looks = useMemo(() => looksOf([...(saved ?? []).map(resultsOf), ...seen], chosen), [saved, seen, chosen]);
  const newest = looks.at(-1);
  const write = differenceWriterOf(test.metric.kind, test.campaign?.currency ?? "");
  return (
    <Figure
      title="Why looking early is safe"
      note="The difference to the control at each look: saved analyses, and what came while this page was open"
      file={`${test.key}-course`}
      table={{ columns: columnsOf(write), rows: looks }}
      tools={
        treatments.length > 1 && (
          <Select label="Variant" options={treatments.map(({ key, name }) => ({ value: key, name }))} value={chosen} onChange={setChosen} />
        )
      }
    >
      <Answer of={answer} onRetry={ask}>
        {() =>
          newest ? (
            <>
              <LineChart
                label={`Difference to the control over ${looks.length} looks; now ${write(newest.point)}`}
                lines={linesOf(looks)}
                formatX={(x) => formatUtcHour(x)}
                formatY={write}
                fromZero={false}
                references={[{ value: 0, name: "no difference" }]}
              />
              <p className="muted">
                The narrow band is right 95 times in 100 if one looks once, at the planned size; whoever stops at the first look at which it
                leaves zero is fooled far more often. The wide band is right at all looks together: act as soon as it leaves zero.
              </p>
            </>
          ) : (
            <Empty title="No look can be drawn yet">It needs enough units in both variants.</Empty>
          )
        }
      </Answer>
    </Figure>
  );
}

type Seen = Pick<Results, "asOf" | "frequentist" | "sequential"> & { totals: readonly { exposed: number }[] };

const resultsOf = ({ results }: Analysis): Seen => results as unknown as Seen;

const MOST_KEPT = 500;

/** What came while the page was open. */
function useSeen(results: Results): readonly Seen[] {
  const [seen, setSeen] = useState<readonly Seen[]>([results]);
  if (seen.at(-1) !== results && seen.at(-1)?.asOf !== results.asOf) setSeen([...seen, results].slice(-MOST_KEPT));
  return seen;
}

/** Looks in the order of time, one at each. */
export function looksOf(seen: readonly Seen[], variant: string): Look[] {
  const looks = new Map<number, Look>();
  for (const { asOf, totals, frequentist, sequential } of seen) {
    const always = sequential?.comparisons.find((one) => one.variant.key === variant)?.difference;
    const fixed = frequentist?.comparisons.find((one) => one.variant.key === variant)?.difference;
    if (!always) continue;
    const at = Date.parse(asOf);
    looks.set(at, {
      at,
      exposed: totals.reduce((sum, one) => sum + one.exposed, 0),
      point: always.point,
      fixedLow: fixed?.low ?? null,
      fixedHigh: fixed?.high ?? null,
      alwaysLow: always.low,
      alwaysHigh: always.high,
    });
  }
  return [...looks.values()].sort((one, other) => one.at - other.at);
}

const linesOf = (looks: readonly Look[]): Line[] => [
  {
    name: "Always valid",
    color: 0,
    points: looks.map(({ at, point, alwaysLow, alwaysHigh }) => ({ x: at, y: point, low: alwaysLow, high: alwaysHigh })),
  },
  {
    name: "Fixed size",
    color: 1,
    dashed: true,
    points: looks.map(({ at, point, fixedLow, fixedHigh }) => ({ x: at, y: point, low: fixedLow, high: fixedHigh })),
  },
];

const columnsOf = (write: (value: number) => string): Column<Look>[] => {
  const shown = (value: number | null) => (value === null ? "–" : write(value));
  return [
    { name: "Look", value: ({ at }) => new Date(at).toISOString(), show: ({ at }) => formatUtcHour(at) },
    { name: "Units", value: ({ exposed }) => exposed, show: ({ exposed }) => formatCount(exposed), numeric: true },
    { name: "Difference", value: ({ point }) => point, show: ({ point }) => write(point), numeric: true },
    { name: "Fixed, low", value: ({ fixedLow }) => fixedLow, show: ({ fixedLow }) => shown(fixedLow), numeric: true },
    { name: "Fixed, high", value: ({ fixedHigh }) => fixedHigh, show: ({ fixedHigh }) => shown(fixedHigh), numeric: true },
    { name: "Always valid, low", value: ({ alwaysLow }) => alwaysLow, show: ({ alwaysLow }) => write(alwaysLow), numeric: true },
    { name: "Always valid, high", value: ({ alwaysHigh }) => alwaysHigh, show: ({ alwaysHigh }) => write(alwaysHigh), numeric: true },
  ];
};
