import { useQuery } from "urql";
import { Answer, Card, DataTable, Empty, formatCount, formatMoment, inWords, type Column } from "@/components";
import { useKeptFresh, type TestsAnalysesQuery } from "@/graph";
import { TEST_ANALYSES } from "./documents";
import type { Test } from "./TestPage";

type Analyses = NonNullable<TestsAnalysesQuery["test"]>["analyses"];
type Row = Analyses["nodes"][number];

const FRESH_SECONDS = 60;

/** What was said of the test before, by whom it was asked. */
export function History({ test }: { test: Test }) {
  const [result, ask] = useQuery({ query: TEST_ANALYSES, variables: { id: test.id } });
  useKeptFresh(ask, FRESH_SECONDS);
  return (
    <Card title="Saved analyses" note={result.data?.test && `${formatCount(result.data.test.analyses.totalCount)} in all; the newest first`}>
      <Answer of={result} onRetry={ask}>
        {({ test: found }) =>
          found && found.analyses.nodes.length > 0 ? (
            <DataTable caption="Saved analyses" columns={COLUMNS} rows={found.analyses.nodes} keyOf={({ id }) => id} />
          ) : (
            <Empty title="None was saved yet">Save one above; the end of the test saves the last.</Empty>
          )
        }
      </Answer>
    </Card>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Saved", value: ({ createdAt }) => createdAt, show: ({ createdAt }) => formatMoment(createdAt) },
  { name: "Verdict", value: ({ results }) => inWords(results.verdict.decision) },
  { name: "Winner", value: ({ results }) => results.verdict.winner?.name },
  {
    name: "Units",
    value: ({ results }) => unitsOf(results),
    show: ({ results }) => formatCount(unitsOf(results)),
    numeric: true,
  },
  { name: "Model", value: ({ results }) => results.bayesian && inWords(results.bayesian.model), minor: true },
  { name: "Asked for by", value: ({ requestedBy }) => requestedBy, minor: true },
];

const unitsOf = ({ totals }: Row["results"]) => totals.reduce((sum, { exposed }) => sum + exposed, 0);
