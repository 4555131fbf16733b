import { useMemo } from "react";
import { useQuery } from "urql";
import { Answer, PageHeading, Select, Skeleton, useAddress } from "@/components";
import { useKeptFresh } from "@/graph";
import { Channels, Merchants } from "./Breakdown";
import { CampaignTable } from "./CampaignTable";
import { CURRENCIES, PORTFOLIO, PORTFOLIO_TREND } from "./documents";
import { PORTFOLIO_FILTERS } from "./filters";
import { Currencies } from "./Currencies";
import { Funnel } from "./Funnel";
import { Ranking } from "./Ranking";
import { SevenMetrics } from "./SevenMetrics";
import { Trend } from "./Trend";
import { SPAN_NAMES, SPANS, useWindows, type Windows } from "./windows";

const FRESH_SECONDS = 10;

/** All campaigns together. */
export function PortfolioPage() {
  const [filters, setFilters] = useAddress(PORTFOLIO_FILTERS);
  const windows = useWindows(filters.window);
  const { now, before } = windows;
  const [current, ask] = useQuery({ query: PORTFOLIO, variables: { window: now } });
  const [previous] = useQuery({ query: PORTFOLIO, variables: { window: before }, pause: before === null });
  const currency = useCurrency();
  useKeptFresh(ask, FRESH_SECONDS);
  const counted = current.data?.portfolio;
  return (
    <div className="stack">
      <PageHeading title="Campaigns" note={counted && `${counted.campaigns} campaigns, ${counted.active} active`}>
        <Select
          label="Window"
          options={SPANS.map((value) => ({ value, name: SPAN_NAMES[value] }))}
          value={filters.window}
          onChange={(window) => setFilters({ window })}
        />
      </PageHeading>
      <Answer of={current} onRetry={ask} skeleton={<Skeleton height={180} />}>
        {({ portfolio }) => (
          <SevenMetrics
            figures={portfolio.metrics}
            before={before && (previous.data?.portfolio.metrics ?? null)}
            currency={currency}
          />
        )}
      </Answer>
      {counted && <Currencies rows={counted.byCurrency} />}
      <PortfolioTrend windows={windows} currency={currency} />
      <div className="columns">
        <Ranking by={filters.by} onBy={(by) => setFilters({ by })} window={now} currency={currency} />
        <div className="stack">
          <Answer of={current} skeleton={<Skeleton height={260} />}>
            {({ portfolio }) => <Funnel figures={portfolio.metrics} file="portfolio-funnel" />}
          </Answer>
          <Channels window={now} currency={currency} />
        </div>
      </div>
      <Merchants window={now} currency={currency} />
      <CampaignTable window={now} />
    </div>
  );
}

function PortfolioTrend({ windows, currency }: { windows: Windows; currency: string }) {
  const { now, wholeBefore: before, apart } = windows;
  const [{ interval, metric }, setFilters] = useAddress(PORTFOLIO_FILTERS);
  const [current, ask] = useQuery({ query: PORTFOLIO_TREND, variables: { window: now, interval } });
  const [previous] = useQuery({ query: PORTFOLIO_TREND, variables: { window: before, interval }, pause: before === null });
  useKeptFresh(ask, FRESH_SECONDS * 3);
  return (
    <Trend
      result={current}
      points={current.data?.portfolio.trend ?? []}
      before={(before && previous.data?.portfolio.trend) ?? []}
      {...{ apart, interval, metric, currency }}
      file="portfolio-trend"
      onChange={setFilters}
      onRetry={ask}
    />
  );
}

/** The currency of all campaigns' money; "" where they have several. */
function useCurrency(): string {
  const [{ data }] = useQuery({ query: CURRENCIES });
  return useMemo(() => {
    const currencies = new Set(data?.campaigns.nodes.map(({ currency }) => currency));
    return currencies.size === 1 ? [...currencies].join("") : "";
  }, [data]);
}
