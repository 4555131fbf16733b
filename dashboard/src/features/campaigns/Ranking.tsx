import { useQuery } from "urql";
import { Link } from "wouter";
import { Answer, Empty, Figure, Select, Skeleton } from "@/components";
import { BarChart } from "@/components/charts";
import { useKeptFresh, type CampaignMetric, type Window } from "@/graph";
import { RANKING } from "./documents";
import { measureOf, MEASURES, write } from "./measures";

const MINIMUM_SENT = 100;
const FRESH_SECONDS = 30;

interface RankingProps {
  by: CampaignMetric;
  onBy: (by: CampaignMetric) => void;
  window: Window;
  currency: string;
}

/** The best campaigns by one metric. */
export function Ranking({ by, onBy, window, currency }: RankingProps) {
  const [result, ask] = useQuery({ query: RANKING, variables: { by, window, minimumSent: MINIMUM_SENT } });
  useKeptFresh(ask, FRESH_SECONDS);
  const measure = measureOf(by);
  const rows = result.data?.topCampaigns ?? [];
  return (
    <Figure
      title="Best campaigns"
      note={`Of those that sent at least ${MINIMUM_SENT} messages in the window.`}
      file="campaign-ranking"
      tools={
        <Select
          label="Ranked by"
          options={MEASURES.map(({ metric, name }) => ({ value: metric, name }))}
          value={by}
          onChange={onBy}
        />
      }
      table={{
        rows,
        columns: [
          { name: "Rank", value: ({ rank }) => rank, numeric: true },
          {
            name: "Campaign",
            value: ({ campaign }) => campaign.name,
            show: ({ campaign }) => <Link href={`/campaigns/${campaign.key}`}>{campaign.name}</Link>,
          },
          { name: "Merchant", value: ({ campaign }) => campaign.merchant.name, minor: true },
          {
            name: measure.name,
            value: ({ value }) => value,
            show: ({ value, campaign }) => write(value, measure, campaign.currency),
            numeric: true,
          },
        ],
      }}
    >
      <Answer of={result} onRetry={ask} skeleton={<Skeleton height={308} />}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No campaign to rank">None sent {MINIMUM_SENT} messages in this window.</Empty>
          ) : (
            <BarChart
              label={`Campaigns by ${measure.name}, best first: ${rows.slice(0, 3).map(({ campaign }) => campaign.name).join(", ")}.`}
              bars={rows.map(({ campaign, value }) => ({ name: campaign.name, value }))}
              format={(value) => write(value, measure, currency)}
            />
          )
        }
      </Answer>
    </Figure>
  );
}
