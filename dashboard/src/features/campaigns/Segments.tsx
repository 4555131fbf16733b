import { useQuery } from "urql";
import { Answer, Empty, Figure, formatFinePercent, inWords, Select, Skeleton, useAddress } from "@/components";
import { BarChart } from "@/components/charts";
import { useKeptFresh, type SegmentDimension, type Window } from "@/graph";
import { figureColumns } from "./columns";
import { CAMPAIGN_SEGMENTS } from "./documents";
import { CAMPAIGN_FILTERS, DIMENSIONS } from "./filters";

const NAMES: Record<SegmentDimension, string> = {
  SEGMENT: "Segment",
  CHANNEL: "Channel",
  HOUR_OF_DAY: "Hour (UTC)",
  DAY_OF_WEEK: "Day (UTC)",
};
const FRESH_SECONDS = 30;

/** The campaign's conversion rate in parts, best first; hours and days in their order. */
export function Segments({ id, window, currency }: { id: string; window: Window; currency: string }) {
  const [{ segments: by }, setFilters] = useAddress(CAMPAIGN_FILTERS);
  const [result, ask] = useQuery({ query: CAMPAIGN_SEGMENTS, variables: { id, window, by } });
  useKeptFresh(ask, FRESH_SECONDS);
  const ranked = result.data?.campaign?.segments ?? [];
  const rows = by === "HOUR_OF_DAY" ? ranked.toSorted((a, b) => a.segment.localeCompare(b.segment)) : ranked;
  const nameOf = (segment: string) => (by === "HOUR_OF_DAY" ? `${segment}:00` : inWords(segment));
  return (
    <Figure
      title={`Conversion rate by ${NAMES[by].toLowerCase().replace("utc", "UTC")}`}
      file={`${id}-${by.toLowerCase()}`}
      table={{
        rows,
        columns: [
          { name: NAMES[by], value: ({ segment }) => segment, show: ({ segment }) => nameOf(segment) },
          { name: "Rank", value: ({ rank }) => rank, numeric: true },
          ...figureColumns(currency),
        ],
      }}
      tools={
        <Select
          label="Split by"
          options={DIMENSIONS.map((value) => ({ value, name: NAMES[value] }))}
          value={by}
          onChange={(value) => setFilters({ segments: value })}
        />
      }
    >
      <Answer of={result} onRetry={ask} skeleton={<Skeleton height={260} />}>
        {() =>
          rows.length === 0 ? (
            <Empty title="Nothing happened in this window" />
          ) : (
            <BarChart
              label={`Best is ${nameOf(ranked[0]?.segment ?? "")} with ${formatFinePercent(ranked[0]?.metrics.conversionRate)}.`}
              bars={rows.map(({ segment, rank, metrics }) => ({
                name: nameOf(segment),
                value: metrics.conversionRate ?? null,
                color: rank === 1 ? 2 : 0,
              }))}
              format={formatFinePercent}
            />
          )
        }
      </Answer>
    </Figure>
  );
}
