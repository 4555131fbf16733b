import { Empty, Figure, formatNumber } from "@/components";
import { LineChart } from "@/components/charts";
import { colorsOf, writerOf } from "./scale";
import type { Results, Test } from "./TestPage";

/** Which values each variant's metric can have, and how likely each is. */
export function Densities({ test, results }: { test: Test; results: Results }) {
  const posteriors = results.bayesian?.variants ?? [];
  const colors = colorsOf(test.variants);
  const write = writerOf(test.metric.kind, test.campaign?.currency ?? "");
  const rows = posteriors.flatMap(({ variant, density }) => density.map((point) => ({ name: variant.name, ...point })));
  return (
    <Figure
      title="Posterior densities"
      note="What each variant's true value may be, given what was seen; the less they overlap, the surer"
      file={`${test.key}-posterior`}
      table={{
        columns: [
          { name: "Variant", value: ({ name }) => name },
          { name: "Value", value: ({ x }) => x, show: ({ x }) => write(x), numeric: true },
          { name: "Density", value: ({ density }) => density, show: ({ density }) => formatNumber(density), numeric: true },
        ],
        rows,
      }}
    >
      {posteriors.length > 0 ? (
        <LineChart
          label={`Posterior densities: ${posteriors.map(({ variant, mean }) => `${variant.name} around ${write(mean.point)}`).join(", ")}`}
          x="number"
          lines={posteriors.map(({ variant, density }) => ({
            name: variant.name,
            color: colors.get(variant.key) ?? 0,
            filled: true,
            points: density.map(({ x, density: y }) => ({ x, y })),
          }))}
          formatX={write}
          formatY={(value) => formatNumber(value)}
          nameX={test.metric.name}
        />
      ) : (
        <Empty title="There is no posterior yet">{results.pending}</Empty>
      )}
    </Figure>
  );
}
