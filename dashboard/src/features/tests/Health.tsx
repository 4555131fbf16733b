import { Badge, Card, DataTable, formatCount, formatPercent, formatPValue, Notice, type Column } from "@/components";
import type { Results, Test } from "./TestPage";

interface Row {
  name: string;
  observed: number;
  expected: number;
  multiple: number;
}

/** Whether the traffic came as it should have: what everything else rests on. */
export function Health({ test, results }: { test: Test; results: Results }) {
  const { sampleRatio, totals } = results;
  const all = sampleRatio.observed.reduce((sum, one) => sum + one, 0);
  const rows = totals.map(({ variant, multipleExposed }, index) => ({
    name: variant.name,
    observed: sampleRatio.observed[index] ?? 0,
    expected: (sampleRatio.expected[index] ?? 0) * (isShare(sampleRatio.expected) ? all : 1),
    multiple: multipleExposed,
  }));
  return (
    <Card
      title="Sample ratio"
      note={`Did as many come as the shares say? p ${formatPValue(sampleRatio.pValue)}`}
      tools={
        <Badge tone={sampleRatio.mismatch ? "bad" : sampleRatio.caution ? "warn" : "good"}>
          {sampleRatio.mismatch ? "Mismatch" : sampleRatio.caution ? "Caution" : "As expected"}
        </Badge>
      }
    >
      <DataTable caption={`Sample ratio of ${test.name}`} columns={COLUMNS} rows={rows} keyOf={({ name }) => name} />
      {sampleRatio.mismatch && (
        <Notice tone="bad" title="The variants did not get the traffic they should have">
          Something loses or adds units of one variant: find it before believing any result. Exposures logged late, redirects and bots are
          the usual causes.
        </Notice>
      )}
    </Card>
  );
}

const isShare = (expected: readonly number[]) => Math.abs(expected.reduce((sum, one) => sum + one, 0) - 1) < 1e-6;

const COLUMNS: readonly Column<Row>[] = [
  { name: "Variant", value: ({ name }) => name },
  { name: "Exposed", value: ({ observed }) => observed, show: ({ observed }) => formatCount(observed), numeric: true },
  { name: "Expected", value: ({ expected }) => expected, show: ({ expected }) => formatCount(expected), numeric: true },
  {
    name: "In several variants",
    value: ({ multiple }) => multiple,
    show: ({ multiple, observed }) => `${formatCount(multiple)} (${formatPercent(observed ? multiple / observed : 0)})`,
    numeric: true,
    minor: true,
  },
];
