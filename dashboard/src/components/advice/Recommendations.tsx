import type { ReactNode } from "react";
import { graphql, type RecommendationPartsFragment } from "@/graph";
import { Badge } from "../basics";
import { formatDay, formatMoney, inWords } from "../format";
import styles from "./recommendations.module.css";

export const RECOMMENDATION_PARTS = graphql(`
  fragment RecommendationParts on Recommendation {
    id
    kind
    title
    rationale
    createdAt
    expectedGain {
      point
      low
      high
    }
  }
`);

interface RecommendationsProps<Row extends RecommendationPartsFragment> {
  recommendations: readonly Row[];
  currencyOf: (recommendation: Row) => string;
  /** What stands below each, such as links to what it is about. */
  below?: (recommendation: Row) => ReactNode;
}

/** What to do, why, and what it is expected to earn. */
export function Recommendations<Row extends RecommendationPartsFragment>({ recommendations, currencyOf, below }: RecommendationsProps<Row>) {
  return (
    <ul className={styles.list}>
      {recommendations.map((one) => (
        <li key={one.id}>
          <div>
            <Badge tone="info">{inWords(one.kind)}</Badge> <strong>{one.title}</strong>
          </div>
          <p>{one.rationale}</p>
          <p className="muted">
            {gainOf(one, currencyOf(one))}
            {formatDay(one.createdAt)}
          </p>
          {below?.(one)}
        </li>
      ))}
    </ul>
  );
}

function gainOf({ expectedGain }: RecommendationPartsFragment, currency: string): string {
  if (!expectedGain) return "";
  const [point, low, high] = [expectedGain.point, expectedGain.low, expectedGain.high].map((value) => formatMoney(value, currency));
  return `Expected over 30 days: ${point} (${low} to ${high}) · `;
}
