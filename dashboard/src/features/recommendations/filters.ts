import { choice, text } from "@/components";
import type { RecommendationKind } from "@/graph";

export const KINDS = ["OFFER_AMOUNT", "SEND_TIME", "CHANNEL", "SEGMENT", "START_TEST", "END_TEST", "BUDGET"] as const satisfies readonly RecommendationKind[];

/** What the address of the page says. */
export const FILTERS = {
  kind: choice(["", ...KINDS], ""),
  about: text(),
  after: text(),
  campaign: text(),
  user: text(),
  latitude: text(),
  longitude: text(),
};
