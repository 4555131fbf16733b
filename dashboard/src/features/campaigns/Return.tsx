import { Figure, formatCount, formatMoney, formatTwo, MISSING, Stat, Stats, type Table } from "@/components";
import { BarChart } from "@/components/charts";
import type { CampaignPageQuery } from "@/graph";

type Roi = NonNullable<CampaignPageQuery["campaign"]>["roi"];

interface Amount {
  name: string;
  amount: string;
  color: number;
}

/** What the campaign brought, what it cost, and what is left. */
export function Return({ roi, currency, file }: { roi: Roi; currency: string; file: string }) {
  const amounts: Amount[] = [
    { name: "Revenue", amount: roi.revenue, color: 0 },
    { name: "Cash back", amount: roi.rewardCost, color: 1 },
    { name: "Delivery", amount: roi.deliveryCost, color: 4 },
    { name: "Profit", amount: roi.profit, color: 2 },
  ];
  const table: Table<Amount> = {
    rows: amounts,
    columns: [
      { name: "Part", value: ({ name }) => name },
      { name: `Amount (${currency})`, value: ({ amount }) => amount, show: ({ amount }) => formatMoney(amount, currency), numeric: true },
    ],
  };
  return (
    <Figure title="Return on investment" note="Of the window; profit is revenue less cash back and delivery." file={file} table={table}>
      <div className="stack">
        <BarChart
          label={`Revenue ${formatMoney(roi.revenue, currency)}, profit ${formatMoney(roi.profit, currency)}.`}
          bars={amounts.map(({ name, amount, color }) => ({ name, value: Number(amount), color }))}
          format={(value) => formatMoney(value, currency)}
        />
        <Stats>
          <Stat name="Return" value={roi.roi === null ? MISSING : `${formatTwo(roi.roi)}×`} note="profit over cost" />
          <Stat name="Break-even" value={formatCount(roi.breakEvenConversions)} note="conversions that pay for delivery" />
        </Stats>
      </div>
    </Figure>
  );
}
