import { Card, formatClock, formatCount, formatMoney, Stat, Stats } from "@/components";
import type { CampaignLiveSubscription } from "@/graph";

const COUNTS = ["sent", "delivered", "opened", "clicked", "activated", "converted"] as const;

interface LiveProps {
  metrics: CampaignLiveSubscription["campaignMetrics"];
  currency: string;
}

/** Everything so far, as it comes in. */
export function Live({ metrics, currency }: LiveProps) {
  return (
    <Card title="Live" note={`Everything so far, as of ${formatClock(metrics.asOf)}`}>
      <Stats>
        {COUNTS.map((name) => (
          <Stat key={name} name={name.charAt(0).toUpperCase() + name.slice(1)} value={formatCount(metrics[name])} />
        ))}
        <Stat name="Revenue" value={formatMoney(metrics.revenue, currency)} />
        <Stat name="Cost" value={formatMoney(metrics.cost, currency)} />
      </Stats>
    </Card>
  );
}
