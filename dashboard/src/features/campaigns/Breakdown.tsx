import { useQuery } from "urql";
import { Answer, Empty, Figure, formatFinePercent, formatMoney, inWords, Skeleton } from "@/components";
import { BarChart } from "@/components/charts";
import { useKeptFresh, type Window } from "@/graph";
import { figureColumns } from "./columns";
import { BREAKDOWN } from "./documents";

const FRESH_SECONDS = 30;

interface BreakdownProps {
  window: Window;
  currency: string;
}

/** The portfolio by merchant. */
export function Merchants({ window, currency }: BreakdownProps) {
  const [result, ask] = useQuery({ query: BREAKDOWN, variables: { window } });
  useKeptFresh(ask, FRESH_SECONDS);
  const rows = result.data?.portfolio.byMerchant ?? [];
  return (
    <Figure
      title="Merchants by revenue"
      file="merchants"
      table={{ rows, columns: [{ name: "Merchant", value: ({ merchant }) => merchant.name }, ...figureColumns(currency)] }}
    >
      <Answer of={result} onRetry={ask} skeleton={<Skeleton height={308} />}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No merchant had events in this window" />
          ) : (
            <BarChart
              label={`Merchants by revenue, highest first: ${rows[0]?.merchant.name ?? ""}.`}
              bars={rows.map(({ merchant, metrics }) => ({ name: merchant.name, value: Number(metrics.revenue) }))}
              format={(value) => formatMoney(value, currency)}
            />
          )
        }
      </Answer>
    </Figure>
  );
}

/** The portfolio by channel. */
export function Channels({ window, currency }: BreakdownProps) {
  const [result, ask] = useQuery({ query: BREAKDOWN, variables: { window } });
  const rows = result.data?.portfolio.byChannel ?? [];
  return (
    <Figure
      title="Conversion rate by channel"
      file="channels"
      table={{ rows, columns: [{ name: "Channel", value: ({ segment }) => inWords(segment) }, ...figureColumns(currency)] }}
    >
      <Answer of={result} onRetry={ask} skeleton={<Skeleton height={158} />}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No channel had events in this window" />
          ) : (
            <BarChart
              label={`Channels by conversion rate, best first: ${inWords(rows[0]?.segment ?? "")}.`}
              bars={rows.map(({ segment, metrics }) => ({ name: inWords(segment), value: metrics.conversionRate }))}
              format={formatFinePercent}
            />
          )
        }
      </Answer>
    </Figure>
  );
}
