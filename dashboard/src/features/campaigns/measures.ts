import {
  formatBriefPercent,
  formatCompact,
  formatCompactMoney,
  formatCount,
  formatFinePercent,
  formatMoney,
  formatTwo,
  formatPercent,
  MISSING,
} from "@/components";
import { graphql, type CampaignFiguresFragment, type CampaignMetric } from "@/graph";

export const FIGURES = graphql(`
  fragment CampaignFigures on CampaignMetrics {
    sent
    delivered
    opened
    clicked
    activated
    converted
    revenue
    cost
    deliveryRate
    openRate
    clickThroughRate
    conversionRate
    averageOrderValue
    costPerConversion
    roi
  }
`);

export type Figures = CampaignFiguresFragment;
type Unit = "rate" | "fine rate" | "money" | "count" | "return";

/** One thing that is measured of a campaign, by the graph's name. */
export interface Measure {
  metric: CampaignMetric;
  field: Exclude<keyof Figures, "__typename" | " $fragmentName">;
  name: string;
  unit: Unit;
  higherIsBetter: boolean;
  note: string;
}

const measure = (metric: CampaignMetric, field: Measure["field"], name: string, unit: Unit, note: string): Measure => ({
  metric,
  field,
  name,
  unit,
  note,
  higherIsBetter: metric !== "COST_PER_CONVERSION",
});

/** The seven calculated metrics. */
export const SEVEN: readonly Measure[] = [
  measure("DELIVERY_RATE", "deliveryRate", "Delivery rate", "rate", "delivered of sent"),
  measure("OPEN_RATE", "openRate", "Open rate", "rate", "opened of delivered"),
  measure("CLICK_THROUGH_RATE", "clickThroughRate", "Click-through rate", "rate", "clicked of opened"),
  measure("CONVERSION_RATE", "conversionRate", "Conversion rate", "fine rate", "converted of delivered"),
  measure("AVERAGE_ORDER_VALUE", "averageOrderValue", "Average order value", "money", "revenue a conversion"),
  measure("COST_PER_CONVERSION", "costPerConversion", "Cost per conversion", "money", "cash back and delivery"),
  measure("ROI", "roi", "Return on investment", "return", "profit over cost"),
];

/** The seven, and the two sums that a ranking knows beside them. */
export const MEASURES: readonly Measure[] = [
  ...SEVEN,
  measure("REVENUE", "revenue", "Revenue", "money", "value of all conversions"),
  measure("CONVERTED", "converted", "Conversions", "count", "conversions"),
];

export const METRIC_CODES = MEASURES.map(({ metric }) => metric);

export const measureOf = (metric: CampaignMetric): Measure => {
  const found = MEASURES.find((one) => one.metric === metric);
  if (!found) throw new Error(`No measure ${metric}.`);
  return found;
};

/** A figure as a number; null where it is not defined. */
export function numberOf(figures: Figures, { field }: Measure): number | null {
  const value = figures[field];
  return value === null ? null : Number(value);
}

const WRITERS: Record<Unit, (value: number | null, currency: string) => string> = {
  rate: (value) => formatPercent(value),
  "fine rate": (value) => formatFinePercent(value),
  money: (value, currency) => formatMoney(value, currency),
  count: (value) => formatCount(value),
  return: (value) => (value === null ? MISSING : `${formatTwo(value)}×`),
};

const BRIEF_WRITERS: Partial<typeof WRITERS> = {
  rate: (value) => formatBriefPercent(value),
  "fine rate": (value) => formatBriefPercent(value),
  money: (value, currency) => formatCompactMoney(value, currency),
  count: (value) => formatCompact(value),
};

export const write = (value: number | null, { unit }: Measure, currency: string): string => WRITERS[unit](value, currency);

/** For axes, where room is short. */
export const writeBriefly = (value: number | null, { unit }: Measure, currency: string): string =>
  (BRIEF_WRITERS[unit] ?? WRITERS[unit])(value, currency);
