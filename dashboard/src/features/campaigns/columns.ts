import { formatCount, formatMoney, type Column } from "@/components";
import { numberOf, SEVEN, write, type Figures } from "./measures";

interface WithFigures {
  metrics: Figures;
}

/** Columns of a table of campaigns' figures: counts, money and the seven metrics. */
export const figureColumns = (currency: string): Column<WithFigures>[] => [
  { name: "Sent", value: ({ metrics }) => metrics.sent, show: ({ metrics }) => formatCount(metrics.sent), numeric: true },
  {
    name: "Converted",
    value: ({ metrics }) => metrics.converted,
    show: ({ metrics }) => formatCount(metrics.converted),
    numeric: true,
  },
  {
    name: "Revenue",
    value: ({ metrics }) => metrics.revenue,
    show: ({ metrics }) => formatMoney(metrics.revenue, currency),
    numeric: true,
  },
  ...SEVEN.map((measure) => ({
    name: measure.name,
    value: ({ metrics }: WithFigures) => numberOf(metrics, measure),
    show: ({ metrics }: WithFigures) => write(numberOf(metrics, measure), measure, currency),
    numeric: true,
  })),
];
