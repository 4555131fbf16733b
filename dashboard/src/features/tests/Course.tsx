import { useMemo, useState } from "react";
import { useQuery } from "urql";
import { Answer, Empty, Figure, formatCount, formatUtcDay, formatUtcHour, Select, type Column } from "@/components";
import { LineChart, type Line } from "@/components/charts";
import { useKeptFresh, type TestsCourseQuery } from "@/graph";
import { TEST_COURSE } from "./documents";
import { differenceWriterOf, type Write } from "./scale";
import type { Results, Test } from "./TestPage";

type Point = NonNullable<TestsCourseQuery["test"]>["course"][number];

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

/** The difference look by look: the fixed-size interval leaves zero by chance again and again, the always-valid one seldom does. */
export function Course({ test, results }: { test: Test; results: Results }) {
  const treatments = test.variants.filter(({ isControl }) => !isControl);
  const [chosen, setChosen] = useState(treatments[0]?.key ?? "");
  const [answer, ask] = useQuery({ query: TEST_COURSE, variables: { id: test.id } });
  useKeptFresh(ask, FRESH_SECONDS);
  const points = answer.data?.test?.course;
  const ended = test.status === "ENDED";
  const looks = useMemo(
    () => looksOf([...(points ?? []), ...(ended ? [] : [presentOf(results)])], chosen),
    [points, results, chosen, ended],
  );
  const newest = looks.at(-1);
  const write = differenceWriterOf(test.metric.kind, test.campaign?.currency ?? "");
  return (
    <Figure
      title="Why looking early is safe"
      note="The difference to the control at the end of each day, and now"
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
                label={`Difference to the control at ${looks.length} looks; now ${write(newest.point)}, at every look from ${write(newest.alwaysLow)} to ${write(newest.alwaysHigh)}`}
                lines={linesOf(worthDrawing(looks))}
                formatX={(x) => formatUtcDay(x)}
                formatY={write}
                fromZero={false}
                references={[{ value: 0, name: "no difference" }]}
                height={320}
              />
              <p className="muted">
                The narrow band is right for one look, at the planned size; whoever stops at the first look at which it leaves zero is fooled
                far more often than it says. The wide band is right at all looks together: act as soon as it leaves zero.
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

const presentOf = ({ asOf, totals, frequentist, sequential }: Results): Point =>
  ({ at: asOf, exposed: totals.reduce((sum, one) => sum + one.exposed, 0), frequentist, sequential });

/** Looks in the order of time; of those with the same units only the last, so that the present replaces today's. */
export function looksOf(points: readonly Point[], variant: string): Look[] {
  const looks = points.flatMap((point): Look[] => {
    const always = point.sequential?.comparisons.find((one) => one.variant.key === variant)?.difference;
    const fixed = point.frequentist?.comparisons.find((one) => one.variant.key === variant)?.difference;
    if (!always) return [];
    return [
      {
        at: Date.parse(point.at),
        exposed: point.exposed,
        point: always.point,
        fixedLow: fixed?.low ?? null,
        fixedHigh: fixed?.high ?? null,
        alwaysLow: always.low,
        alwaysHigh: always.high,
      },
    ];
  });
  const [last, before] = [looks.at(-1), looks.at(-2)];
  return last && before && before.at >= last.at - HOURS_12 && looks.length > 2 ? [...looks.slice(0, -2), last] : looks;
}

const WIDEST = 8;

/** Looks but for the first few, beside whose intervals the others would be a line. */
export function worthDrawing(looks: readonly Look[]): Look[] {
  const last = looks.at(-1);
  const width = ({ alwaysLow, alwaysHigh }: Look) => alwaysHigh - alwaysLow;
  return last ? looks.filter((look) => width(look) <= WIDEST * width(last)) : [];
}

const HOURS_12 = 12 * 3_600_000;

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

const columnsOf = (write: Write): Column<Look>[] => {
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
