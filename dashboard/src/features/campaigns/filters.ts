import { choice, choices, text } from "@/components";
import type { CampaignOrder, CampaignStatus, Interval, SegmentDimension } from "@/graph";
import { METRIC_CODES } from "./measures";
import { SPANS } from "./windows";

export const STATUSES = ["ACTIVE", "PAUSED", "DRAFT", "ENDED"] as const satisfies readonly CampaignStatus[];
export const INTERVALS = ["HOUR", "DAY", "WEEK"] as const satisfies readonly Interval[];
export const ORDERS = ["NEWEST", "NAME", "STARTS_AT", "ROI", "CONVERSION_RATE"] as const satisfies readonly CampaignOrder[];
export const DIMENSIONS = ["SEGMENT", "CHANNEL", "HOUR_OF_DAY", "DAY_OF_WEEK"] as const satisfies readonly SegmentDimension[];

/** What the address of the portfolio says. */
export const PORTFOLIO_FILTERS = {
  window: choice(SPANS, "30d"),
  interval: choice(INTERVALS, "DAY"),
  metric: choice(METRIC_CODES, "CONVERSION_RATE"),
  by: choice(METRIC_CODES, "ROI"),
  status: choices(STATUSES),
  search: text(),
  order: choice(ORDERS, "NEWEST"),
  after: text(),
};

/** What the address of a campaign's page says. */
export const CAMPAIGN_FILTERS = {
  window: choice(SPANS, "30d"),
  interval: choice(INTERVALS, "DAY"),
  metric: choice(METRIC_CODES, "CONVERSION_RATE"),
  segments: choice(DIMENSIONS, "SEGMENT"),
  cohorts: choice(["DAY", "WEEK"], "WEEK"),
};

export const INTERVAL_OPTIONS = [
  { value: "HOUR", name: "Hour" },
  { value: "DAY", name: "Day" },
  { value: "WEEK", name: "Week" },
] as const satisfies readonly { value: Interval; name: string }[];
