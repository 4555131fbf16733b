import { useQuery } from "urql";
import {
  Answer,
  Badge,
  Card,
  Empty,
  Figure,
  formatDay,
  formatFinePercent,
  formatMoney,
  inWords,
  MISSING,
  Notice,
  Skeleton,
  Stat,
  Stats,
} from "@/components";
import { IntervalChart, LineChart } from "@/components/charts";
import type { CampaignAdviceQuery } from "@/graph";
import { CAMPAIGN_ADVICE } from "./documents";
import styles from "./advice.module.css";

type Advised = NonNullable<CampaignAdviceQuery["campaign"]>;
type Offer = NonNullable<Advised["offerRecommendation"]>;

/** What the models say of a campaign: what to do, which amount, which segments. */
export function Advice({ id }: { id: string }) {
  const [result, ask] = useQuery({ query: CAMPAIGN_ADVICE, variables: { id } });
  return (
    <Answer of={result} onRetry={ask} skeleton={<Skeleton height={260} />}>
      {({ campaign }) =>
        campaign && (
          <>
            <Recommended campaign={campaign} />
            <div className="columns">
              {campaign.offerRecommendation ? (
                <OfferCurve id={id} offer={campaign.offerRecommendation} campaign={campaign} />
              ) : (
                <Card title="Offer amount">
                  <Empty title="No amount is recommended yet">
                    {campaign.offerRefusal ?? "Train the offer model on the recommendations' page."}
                  </Empty>
                </Card>
              )}
              <SegmentRanking id={id} ranking={campaign.segmentRanking} />
            </div>
          </>
        )
      }
    </Answer>
  );
}

function Recommended({ campaign: { recommendations, currency } }: { campaign: Advised }) {
  return (
    <Card title="Recommendations">
      {recommendations.length === 0 ? (
        <Empty title="Nothing is recommended for this campaign now" />
      ) : (
        <ul className={styles.list}>
          {recommendations.map(({ id, kind, title, rationale, expectedGain, createdAt }) => (
            <li key={id}>
              <div>
                <Badge tone="info">{inWords(kind)}</Badge> <strong>{title}</strong>
              </div>
              <p>{rationale}</p>
              <p className="muted">
                {expectedGain
                  ? `Expected over 30 days: ${formatMoney(expectedGain.point, currency)} (${formatMoney(expectedGain.low, currency)} to ${formatMoney(expectedGain.high, currency)}) · `
                  : ""}
                {formatDay(createdAt)}
              </p>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function OfferCurve({ id, offer, campaign: { currency, offerAmount } }: { id: string; offer: Offer; campaign: Advised }) {
  const money = (value: number) => formatMoney(value, currency);
  const points = offer.curve.map(({ amount, profitPerUser }) => ({ x: Number(amount), y: profitPerUser.point, low: profitPerUser.low, high: profitPerUser.high }));
  return (
    <Figure
      title="Offer amount"
      note="Profit a user by the amount offered, with its 95 % interval."
      file={`${id}-offer`}
      table={{
        rows: offer.curve,
        columns: [
          { name: `Amount (${currency})`, value: ({ amount }) => amount, numeric: true },
          { name: "Conversion rate", value: ({ conversionRate }) => conversionRate.point, show: ({ conversionRate }) => formatFinePercent(conversionRate.point), numeric: true },
          { name: "Profit a user", value: ({ profitPerUser }) => profitPerUser.point, show: ({ profitPerUser }) => money(profitPerUser.point), numeric: true },
          { name: "Low", value: ({ profitPerUser }) => profitPerUser.low, show: ({ profitPerUser }) => money(profitPerUser.low), numeric: true },
          { name: "High", value: ({ profitPerUser }) => profitPerUser.high, show: ({ profitPerUser }) => money(profitPerUser.high), numeric: true },
        ],
      }}
    >
      <div className="stack">
        <LineChart
          label={`Profit a user by amount; best at ${money(Number(offer.amount))}.`}
          lines={[{ name: "Profit a user", points }]}
          x="number"
          formatX={money}
          formatY={money}
          fromZero={false}
          marks={[
            { value: Number(offer.amount), name: "best" },
            { value: Number(offerAmount), name: "now" },
          ]}
        />
        <Stats>
          <Stat name="Recommended" value={money(Number(offer.amount))} note={`best lies in ${money(Number(offer.low))} – ${money(Number(offer.high))}`} />
          <Stat name="Conversion rate" value={formatFinePercent(offer.expectedConversionRate)} note="expected" />
          <Stat name="Profit a user" value={money(Number(offer.expectedProfitPerUser))} note="expected" />
        </Stats>
        <Notice>{offer.evidence}</Notice>
      </div>
    </Figure>
  );
}

function SegmentRanking({ id, ranking }: { id: string; ranking: Advised["segmentRanking"] }) {
  return (
    <Figure
      title="Segments by what sending adds"
      note="To the conversion rate, with its 95 % interval."
      file={`${id}-segment-ranking`}
      table={{
        rows: ranking,
        columns: [
          { name: "Segment", value: ({ segment }) => segment },
          { name: "Rank", value: ({ rank }) => rank, numeric: true },
          { name: "Adds", value: ({ expectedLift }) => expectedLift.point, show: ({ expectedLift }) => formatFinePercent(expectedLift.point), numeric: true },
          { name: "Low", value: ({ expectedLift }) => expectedLift.low, show: ({ expectedLift }) => formatFinePercent(expectedLift.low), numeric: true },
          { name: "High", value: ({ expectedLift }) => expectedLift.high, show: ({ expectedLift }) => formatFinePercent(expectedLift.high), numeric: true },
          { name: "Why", value: ({ reasons }) => reasons.join(" ") || MISSING, minor: true },
        ],
      }}
    >
      {ranking.length === 0 ? (
        <Empty title="The data do not tell segments apart yet" />
      ) : (
        <IntervalChart
          label={`Best is ${ranking[0]?.segment ?? ""}.`}
          intervals={ranking.map(({ segment, expectedLift }) => ({ name: segment, ...expectedLift, color: 0 }))}
          format={formatFinePercent}
        />
      )}
    </Figure>
  );
}
