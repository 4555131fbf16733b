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
  formatFinePercent,
  formatMoney,
  inWords,
  Pages,
  Search,
  Select,
  Skeleton,
  StatusBadge,
  useAddress,
  type Column,
} from "@/components";
import { useKeptFresh, type CampaignOrder, type CampaignsListQuery, type Window } from "@/graph";
import { CAMPAIGNS } from "./documents";
import { ORDERS, PORTFOLIO_FILTERS, STATUSES } from "./filters";
import { measureOf, write } from "./measures";

type Row = CampaignsListQuery["campaigns"]["nodes"][number];

const PAGE = 20;
const FRESH_SECONDS = 30;
const ORDER_NAMES: Record<CampaignOrder, string> = {
  NEWEST: "Newest",
  NAME: "Name",
  STARTS_AT: "Start",
  ROI: "Return on investment",
  CONVERSION_RATE: "Conversion rate",
};

/** Campaigns, searched, filtered and ordered as the address says. */
export function CampaignTable({ window }: { window: Window }) {
  const [{ search, status, order, after }, setFilters] = useAddress(PORTFOLIO_FILTERS);
  const filter = { ...(status.length > 0 ? { status } : {}), ...(search ? { search } : {}) };
  const [result, ask] = useQuery({
    query: CAMPAIGNS,
    variables: { first: PAGE, after: after || null, filter, orderBy: order, window },
  });
  useKeptFresh(ask, FRESH_SECONDS);
  const setSearch = useCallback((value: string) => setFilters({ search: value, after: "" }), [setFilters]);
  return (
    <Card title="All campaigns" note={result.data && `${formatCount(result.data.campaigns.totalCount)} match`}>
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
          {({ campaigns: { nodes, pageInfo } }) =>
            nodes.length === 0 ? (
              <Empty title="No campaign matches">Search for less, or leave out a status.</Empty>
            ) : (
              <>
                <DataTable caption="Campaigns" columns={COLUMNS} rows={nodes} keyOf={({ key }) => key} />
                <Pages after={after} pageInfo={pageInfo} onChange={(cursor) => setFilters({ after: cursor })} />
              </>
            )
          }
        </Answer>
      </div>
    </Card>
  );
}

const ROI = measureOf("ROI");

const COLUMNS: readonly Column<Row>[] = [
  {
    name: "Campaign",
    value: ({ name }) => name,
    show: ({ key, name }) => <Link href={`/campaigns/${key}`}>{name}</Link>,
  },
  { name: "Merchant", value: ({ merchant }) => merchant.name, minor: true },
  { name: "Status", value: ({ status }) => status, show: ({ status }) => <StatusBadge status={status} /> },
  {
    name: "Offer",
    value: ({ offerAmount }) => offerAmount,
    show: ({ offerAmount, currency }) => formatMoney(offerAmount, currency),
    numeric: true,
    minor: true,
  },
  { name: "Sent", value: ({ metrics }) => metrics.sent, show: ({ metrics }) => formatCount(metrics.sent), numeric: true, minor: true },
  {
    name: "Conversion rate",
    value: ({ metrics }) => metrics.conversionRate,
    show: ({ metrics }) => formatFinePercent(metrics.conversionRate),
    numeric: true,
  },
  {
    name: "Revenue",
    value: ({ metrics }) => metrics.revenue,
    show: ({ metrics, currency }) => formatMoney(metrics.revenue, currency),
    numeric: true,
    minor: true,
  },
  {
    name: "Return",
    value: ({ metrics }) => metrics.roi,
    show: ({ metrics, currency }) => write(metrics.roi ?? null, ROI, currency),
    numeric: true,
    minor: true,
  },
];
