import { useQuery } from "urql";
import { Link } from "wouter";
import { Answer, Card, DataTable, Empty, formatDay, inWords, MISSING, Progress, StatusBadge, type Column } from "@/components";
import type { CampaignTestsQuery } from "@/graph";
import { CAMPAIGN_TESTS } from "./documents";

type Row = NonNullable<CampaignTestsQuery["campaign"]>["tests"]["nodes"][number];

/** The A/B tests about a campaign. */
export function CampaignTests({ id }: { id: string }) {
  const [result, ask] = useQuery({ query: CAMPAIGN_TESTS, variables: { id } });
  return (
    <Card title="A/B tests">
      <Answer of={result} onRetry={ask}>
        {({ campaign }) =>
          campaign && campaign.tests.nodes.length > 0 ? (
            <DataTable caption="A/B tests of this campaign" columns={COLUMNS} rows={campaign.tests.nodes} keyOf={({ key }) => key} />
          ) : (
            <Empty title="No test is about this campaign">
              <Link href="/tests">Make one on the tests&apos; page</Link>
            </Empty>
          )
        }
      </Answer>
    </Card>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Test", value: ({ name }) => name, show: ({ key, name }) => <Link href={`/tests/${key}`}>{name}</Link> },
  { name: "Status", value: ({ status }) => status, show: ({ status }) => <StatusBadge status={status} /> },
  { name: "Policy", value: ({ allocationPolicy }) => inWords(allocationPolicy), minor: true },
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
