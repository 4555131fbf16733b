import { Badge, Card, DataTable, Empty, formatMoment, inWords, Notice, type Column, type Tone } from "@/components";
import { differenceWriterOf } from "./scale";
import type { Results, Test } from "./TestPage";

type Row = Results["guardrails"][number];

const TONES: Partial<Record<Row["status"], Tone>> = { SAFE: "good", BREACHED: "bad" };

/** What must not get worse, and whether it does. */
export function Guardrails({ test, results }: { test: Test; results: Results }) {
  const currency = test.campaign?.currency ?? "";
  const write = (row: Row, value: number) => differenceWriterOf(row.metric.kind, currency)(value);
  const columns: Column<Row>[] = [
    { name: "Guardrail", value: ({ metric }) => metric.name },
    { name: "Variant", value: ({ variant }) => variant.name },
    { name: "Status", value: ({ status }) => status, show: ({ status }) => <Badge tone={TONES[status] ?? "warn"}>{inWords(status)}</Badge> },
    {
      name: "Difference, always valid",
      value: ({ difference }) => difference.point,
      show: (row) => `${write(row, row.difference.low)} to ${write(row, row.difference.high)}`,
      numeric: true,
    },
    { name: "Margin", value: ({ margin }) => margin, show: (row) => write(row, row.margin), numeric: true, minor: true },
  ];
  return (
    <Card title="Guardrails" note="What must not get worse by more than its margin">
      {test.guardrailStops.map(({ at, reason, metric, variant }) => (
        <Notice key={`${at} ${metric.name} ${variant.name}`} tone="warn" title={`Paused on ${formatMoment(at)}`}>
          {reason}
        </Notice>
      ))}
      {results.guardrails.length > 0 ? (
        <DataTable caption="Guardrails" columns={columns} rows={results.guardrails} keyOf={({ metric, variant }) => `${metric.key} ${variant.key}`} />
      ) : (
        <Empty title={test.guardrails.length > 0 ? "Too little data for the guardrails yet" : "This test has no guardrails"} />
      )}
    </Card>
  );
}
