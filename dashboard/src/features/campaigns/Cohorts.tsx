import { useQuery } from "urql";
import { Answer, Empty, Figure, formatCount, formatPercent, formatUtcDay, Segmented, Skeleton, useAddress } from "@/components";
import { HeatMap } from "@/components/charts";
import { useKeptFresh, type CampaignCohortsQuery } from "@/graph";
import { CAMPAIGN_COHORTS } from "./documents";
import { CAMPAIGN_FILTERS } from "./filters";

type Cohort = NonNullable<CampaignCohortsQuery["campaign"]>["cohorts"][number];

const PERIODS = 8;
const SHOWN = 14;
const FRESH_SECONDS = 60;
const DAY = 86_400_000;
const LENGTH = { DAY, WEEK: 7 * DAY };

const wholePercent = (value: number) => formatPercent(value).replace(/[.,]\d(?=\D*$)/, "");

/** Who converted again, by the week or day of the first conversion. */
export function Cohorts({ id }: { id: string }) {
  const [{ cohorts: interval }, setFilters] = useAddress(CAMPAIGN_FILTERS);
  const [result, ask] = useQuery({ query: CAMPAIGN_COHORTS, variables: { id, interval, periods: PERIODS } });
  useKeptFresh(ask, FRESH_SECONDS);
  const cohorts = (result.data?.campaign?.cohorts ?? []).slice(-SHOWN);
  const unit = interval === "DAY" ? "day" : "week";
  const later = Array.from({ length: PERIODS - 1 }, (_, index) => index + 1);
  const values = cohorts.map((cohort) => later.map((period) => retentionOf(cohort, period, LENGTH[interval])));
  return (
    <Figure
      title="Who converted again"
      note={`Users by the ${unit} of their first conversion: the share that converted again so many ${unit}s later.`}
      file={`${id}-cohorts`}
      table={{
        rows: cohorts,
        columns: [
          { name: "First conversion (UTC)", value: ({ startsAt }) => startsAt, show: ({ startsAt }) => formatUtcDay(startsAt) },
          { name: "Users", value: ({ size }) => size, numeric: true },
          ...later.map((period) => ({
            name: `+${period}`,
            value: (cohort: Cohort) => retentionOf(cohort, period, LENGTH[interval]),
            show: (cohort: Cohort) => formatPercent(retentionOf(cohort, period, LENGTH[interval])),
            numeric: true,
          })),
        ],
      }}
      tools={
        <Segmented
          label="Cohorts by"
          options={[
            { value: "DAY", name: "Day" },
            { value: "WEEK", name: "Week" },
          ]}
          value={interval}
          onChange={(value) => setFilters({ cohorts: value })}
        />
      }
    >
      <Answer of={result} onRetry={ask} skeleton={<Skeleton height={280} />}>
        {() =>
          cohorts.length === 0 ? (
            <Empty title="Nobody has converted yet" />
          ) : (
            <HeatMap
              label={`${cohorts.length} cohorts and the share of each that converted again.`}
              rows={cohorts.map(({ startsAt, size }) => `${formatUtcDay(startsAt)} · ${formatCount(size)}`)}
              columns={later.map((period) => `+${period}`)}
              values={values}
              format={wholePercent}
              nameX={`${unit}s later`}
              nameY="First · users"
            />
          )
        }
      </Answer>
    </Figure>
  );
}

/** The share of a cohort that converted in a later period; null where that has not begun. */
export function retentionOf({ startsAt, retention }: Cohort, period: number, length: number, now = Date.now()): number | null {
  return Date.parse(startsAt) + period * length > now ? null : (retention[period] ?? null);
}
