import { choice, choices, text } from "@/components";
import type { TestOrder, TestStatus } from "@/graph";

export const STATUSES = ["RUNNING", "PAUSED", "DRAFT", "ENDED"] as const satisfies readonly TestStatus[];
export const ORDERS = ["NEWEST", "NAME", "STARTED_AT", "ENDED_AT"] as const satisfies readonly TestOrder[];

export const ORDER_NAMES: Record<TestOrder, string> = {
  NEWEST: "Newest",
  NAME: "Name",
  STARTED_AT: "Start",
  ENDED_AT: "End",
};

/** What the address of the list says. */
export const LIST_FILTERS = {
  status: choices(STATUSES),
  search: text(),
  order: choice(ORDERS, "NEWEST"),
  after: text(),
};
