import { Card, Empty, formatCount, formatTwo } from "@/components";
import type { CampaignAdviceQuery } from "@/graph";

type Effect = NonNullable<NonNullable<CampaignAdviceQuery["campaign"]>["sendingEffect"]>;

/** What sending a campaign adds to the share of users who convert, where chance left some of them out. */
export function SendingEffect({ effect, refusal }: { effect: Effect | null; refusal: string | null }) {
  return (
    <Card title="What sending adds" note="To the share of users who convert">
      {effect ? <Found effect={effect} /> : <Empty title="It is not known what sending adds">{refusal ?? "Train the response model on the recommendations' page."}</Empty>}
    </Card>
  );
}

function Found({ effect: { average, toldApart, compared, treated, control, reasons } }: { effect: Effect }) {
  return (
    <>
      <p>
        <strong>{points(average.point)} percentage points</strong> (95 % {points(average.low)} to {points(average.high)})
      </p>
      <p>
        {formatCount(treated)} users sent to, {formatCount(control)} left out: {compared}.{" "}
        {toldApart ? "Users' own effects are told apart." : "All users get the average."}
      </p>
      {reasons.map((reason) => (
        <p key={reason} className="muted">
          {reason}
        </p>
      ))}
    </>
  );
}

const points = (fraction: number) => (fraction > 0 ? "+" : "") + formatTwo(fraction * 100);
