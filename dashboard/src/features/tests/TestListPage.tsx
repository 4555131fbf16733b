import { useCallback } from "react";
import { useQuery } from "urql";
import { Link } from "wouter";
import {
  Answer,
  Card,
  Choices,
  DataTable,
  Empty,
  formatCount,
  formatDay,
  inWords,
  MISSING,
  PageHeading,
  Pages,
  Progress,
  Search,
  Select,
  Skeleton,
  StatusBadge,
  useAddress,
  type Column,
} from "@/components";
import { useKeptFresh, type TestsListQuery } from "@/graph";
import { TESTS } from "./documents";
import { LIST_FILTERS, ORDER_NAMES, ORDERS, STATUSES } from "./filters";

type Row = TestsListQuery["tests"]["nodes"][number];

const PAGE = 20;
const FRESH_SECONDS = 15;

/** Tests, searched, filtered and ordered as the address says. */
export function TestListPage() {
  const [{ search, status, order, after }, setFilters] = useAddress(LIST_FILTERS);
  const filter = { ...(status.length > 0 ? { status } : {}), ...(search ? { search } : {}) };
  const [result, ask] = useQuery({
    query: TESTS,
    variables: { first: PAGE, after: after || null, filter, orderBy: order },
  });
  useKeptFresh(ask, FRESH_SECONDS);
  const setSearch = useCallback((value: string) => setFilters({ search: value, after: "" }), [setFilters]);
  return (
    <div className="stack">
      <PageHeading title="Tests" note="A/B tests and bandits: what works, said honestly however often one looks.">
        <Link className="button plain" href="/tests/-/sample-size">
          Sample size
        </Link>
        <Link className="button primary" href="/tests/-/new">
          New test
        </Link>
      </PageHeading>
      <Card title="All tests" note={result.data && `${formatCount(result.data.tests.totalCount)} match`}>
        <div className="stack">
          <div className="row">
            <Search label="Search by name or key" value={search} onChange={setSearch} />
            <Choices
              label="Status"
              options={STATUSES.map((value) => ({ value, name: inWords(value) }))}
              values={status}
              onChange={(values) => setFilters({ status: values, after: "" })}
            />
            <Select
              label="Ordered by"
              options={ORDERS.map((value) => ({ value, name: ORDER_NAMES[value] }))}
              value={order}
              onChange={(value) => setFilters({ order: value, after: "" })}
            />
          </div>
          <Answer of={result} onRetry={ask} skeleton={<Skeleton height={400} />}>
            {({ tests: { nodes, pageInfo } }) =>
              nodes.length === 0 ? (
                <Empty title="No test matches">
                  Search for less, leave out a status, or <Link href="/tests/-/new">make a test</Link>.
                </Empty>
              ) : (
                <>
                  <DataTable caption="Tests" columns={COLUMNS} rows={nodes} keyOf={({ key }) => key} />
                  <Pages after={after} pageInfo={pageInfo} onChange={(cursor) => setFilters({ after: cursor })} />
                </>
              )
            }
          </Answer>
        </div>
      </Card>
    </div>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Test", value: ({ name }) => name, show: ({ key, name }) => <Link href={`/tests/${key}`}>{name}</Link> },
  { name: "Status", value: ({ status }) => status, show: ({ status }) => <StatusBadge status={status} /> },
  { name: "Metric", value: ({ metric }) => metric.name, minor: true },
  { name: "Policy", value: ({ allocationPolicy }) => inWords(allocationPolicy), minor: true },
  {
    name: "Campaign",
    value: ({ campaign }) => campaign?.name,
    show: ({ campaign }) => (campaign ? <Link href={`/campaigns/${campaign.key}`}>{campaign.name}</Link> : MISSING),
    minor: true,
  },
  { name: "Started", value: ({ startedAt }) => startedAt, show: ({ startedAt }) => formatDay(startedAt), minor: true },
  {
    name: "Progress",
    value: ({ progress, targetSampleSize }) => (targetSampleSize === null ? null : progress),
    show: ({ name, progress, targetSampleSize }) =>
      targetSampleSize === null ? <span className="muted">no size planned</span> : <Progress value={progress} label={`Progress of ${name}`} />,
    minor: true,
  },
  { name: "Winner", value: ({ winner }) => winner?.name ?? MISSING },
];
