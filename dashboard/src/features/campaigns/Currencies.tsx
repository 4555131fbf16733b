import { Card, DataTable, Notice } from "@/components";
import type { CampaignsPortfolioQuery } from "@/graph";
import { figureColumns } from "./columns";

type OfCurrency = CampaignsPortfolioQuery["portfolio"]["byCurrency"][number];

/** Money by currency, where campaigns count in several: it adds up within one alone. */
export function Currencies({ rows }: { rows: readonly OfCurrency[] }) {
  if (rows.length < 2) return null;
  return (
    <Card title="By currency">
      <Notice tone="warn" title="Campaigns count in several currencies">
        Revenue, cost and return of all together add their numbers as they stand: read money here.
      </Notice>
      {rows.map((row) => (
        <DataTable
          key={row.currency}
          caption={`${row.currency}: ${row.campaigns} campaigns`}
          rows={[row]}
          columns={[{ name: "Currency", value: ({ currency }) => currency }, ...figureColumns(row.currency)]}
        />
      ))}
    </Card>
  );
}
