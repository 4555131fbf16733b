import { graphql, type OfferCurvePartsFragment } from "@/graph";
import { Notice } from "../basics";
import { LineChart } from "../charts";
import { Figure } from "../Figure";
import { formatFinePercent, formatMoney } from "../format";
import { Stat, Stats } from "../Stat";
import type { Column } from "../table";

export const OFFER_CURVE_PARTS = graphql(`
  fragment OfferCurveParts on OfferRecommendation {
    amount
    low
    high
    expectedConversionRate
    expectedProfitPerUser
    evidence
    curve {
      amount
      conversionRate {
        point
        low
        high
      }
      profitPerUser {
        point
        low
        high
      }
    }
  }
`);

type OfferPoint = OfferCurvePartsFragment["curve"][number];

interface OfferCurveProps {
  offer: OfferCurvePartsFragment;
  /** What is offered now, money. */
  offerAmount: string;
  currency: string;
  file: string;
  title?: string;
}

/** Profit a user by the amount offered, the best amount, and what that rests on. */
export function OfferCurve({ offer, offerAmount, currency, file, title = "Offer amount" }: OfferCurveProps) {
  const money = (value: number | string) => formatMoney(value, currency);
  return (
    <Figure
      title={title}
      note="Profit a user by the amount offered, with its 95 % interval."
      file={file}
      table={{ rows: offer.curve, columns: columnsOf(currency) }}
    >
      <div className="stack">
        <LineChart
          label={`Profit a user by amount; best at ${money(offer.amount)}.`}
          lines={[{ name: "Profit a user", points: offer.curve.map(pointOf) }]}
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
          <Stat name="Recommended" value={money(offer.amount)} note={`best lies in ${money(offer.low)} – ${money(offer.high)}`} />
          <Stat name="Conversion rate" value={formatFinePercent(offer.expectedConversionRate)} note="expected" />
          <Stat name="Profit a user" value={money(offer.expectedProfitPerUser)} note="expected" />
        </Stats>
        <Notice>{offer.evidence}</Notice>
      </div>
    </Figure>
  );
}

const pointOf = ({ amount, profitPerUser: { point, low, high } }: OfferPoint) => ({ x: Number(amount), y: point, low, high });

function columnsOf(currency: string): Column<OfferPoint>[] {
  const profit = (name: string, part: "point" | "low" | "high"): Column<OfferPoint> => ({
    name,
    value: ({ profitPerUser }) => profitPerUser[part],
    show: ({ profitPerUser }) => formatMoney(profitPerUser[part], currency),
    numeric: true,
  });
  return [
    { name: `Amount (${currency})`, value: ({ amount }) => amount, numeric: true },
    {
      name: "Conversion rate",
      value: ({ conversionRate }) => conversionRate.point,
      show: ({ conversionRate }) => formatFinePercent(conversionRate.point),
      numeric: true,
    },
    profit("Profit a user", "point"),
    profit("Low", "low"),
    profit("High", "high"),
  ];
}
