import { graphql, type SegmentRankPartsFragment } from "@/graph";
import { IntervalChart } from "../charts";
import { Figure } from "../Figure";
import { formatFinePercent, MISSING } from "../format";
import { Empty } from "../states";
import type { Column } from "../table";

export const SEGMENT_RANK_PARTS = graphql(`
  fragment SegmentRankParts on SegmentRank {
    segment
    rank
    expectedLift {
      point
      low
      high
    }
    reasons
  }
`);

interface SegmentRankingProps {
  ranking: readonly SegmentRankPartsFragment[];
  /** Why there is no ranking, in words, where there is none. */
  refusal?: string | null;
  file: string;
  title?: string;
}

/** Segments by what a campaign adds to their conversion rate. */
export function SegmentRanking({ ranking, refusal, file, title = "Segments by what sending adds" }: SegmentRankingProps) {
  return (
    <Figure
      title={title}
      note="To the conversion rate, with its 95 % interval."
      file={file}
      table={{ rows: ranking, columns: COLUMNS }}
    >
      {ranking.length === 0 ? (
        <Empty title="The data do not tell segments apart yet">{refusal}</Empty>
      ) : (
        <IntervalChart
          label={`Best is ${ranking[0]?.segment ?? ""}.`}
          intervals={ranking.map(({ segment, expectedLift }) => ({ name: segment, ...expectedLift, color: 0 }))}
          format={formatFinePercent}
        />
      )}
    </Figure>
  );
}

const lift = (name: string, part: "point" | "low" | "high"): Column<SegmentRankPartsFragment> => ({
  name,
  value: ({ expectedLift }) => expectedLift[part],
  show: ({ expectedLift }) => formatFinePercent(expectedLift[part]),
  numeric: true,
});

const COLUMNS: readonly Column<SegmentRankPartsFragment>[] = [
  { name: "Segment", value: ({ segment }) => segment },
  { name: "Rank", value: ({ rank }) => rank, numeric: true },
  lift("Adds", "point"),
  lift("Low", "low"),
  lift("High", "high"),
  { name: "Why", value: ({ reasons }) => reasons.join(" ") || MISSING, minor: true },
];
