import { useEffect, useRef } from "react";
import { useQuery, useSubscription } from "urql";
import { Link } from "wouter";
import {
  Answer,
  formatDay,
  formatMoney,
  inWords,
  PageHeading,
  PageSkeleton,
  Select,
  StatusBadge,
  useAddress,
} from "@/components";
import { useKeptFresh, type CampaignPageQuery } from "@/graph";
import { Advice } from "./Advice";
import { CampaignTests } from "./CampaignTests";
import { Cohorts } from "./Cohorts";
import { CAMPAIGN, CAMPAIGN_BEFORE, CAMPAIGN_LIVE, CAMPAIGN_TREND } from "./documents";
import { CAMPAIGN_FILTERS } from "./filters";
import { Funnel } from "./Funnel";
import { Live } from "./Live";
import { Return } from "./Return";
import { Segments } from "./Segments";
import { SevenMetrics } from "./SevenMetrics";
import { Trend } from "./Trend";
import { SPAN_NAMES, SPANS, useWindows, type Windows } from "./windows";

type Campaign = NonNullable<CampaignPageQuery["campaign"]>;

const ASK_AGAIN = 3_000;
const FRESH_SECONDS = 30;

/** One campaign. */
export function CampaignPage({ id }: { id: string }) {
  const [filters, setFilters] = useAddress(CAMPAIGN_FILTERS);
  const windows = useWindows(filters.window);
  const [result, ask] = useQuery({ query: CAMPAIGN, variables: { id, window: windows.now } });
  const [{ data: live }] = useSubscription({ query: CAMPAIGN_LIVE, variables: { id } });
  useFollowed(live, ask);
  const campaign = result.data?.campaign;
  return (
    <div className="stack">
      <p>
        <Link href="/campaigns">All campaigns</Link>
      </p>
      <PageHeading title={campaign?.name ?? "Campaign"} note={campaign && <Facts campaign={campaign} />}>
        <Select
          label="Window"
          options={SPANS.map((value) => ({ value, name: SPAN_NAMES[value] }))}
          value={filters.window}
          onChange={(window) => setFilters({ window })}
        />
      </PageHeading>
      <Answer of={result} onRetry={ask} skeleton={<PageSkeleton />}>
        {(data) =>
          data.campaign && (
            <>
              {live && <Live metrics={live.campaignMetrics} currency={data.campaign.currency} />}
              <Sections id={id} campaign={data.campaign} windows={windows} />
            </>
          )
        }
      </Answer>
    </div>
  );
}

function Sections({ id, campaign, windows }: { id: string; campaign: Campaign; windows: Windows }) {
  const { now, before } = windows;
  const [previous] = useQuery({ query: CAMPAIGN_BEFORE, variables: { id, window: before }, pause: before === null });
  const { currency } = campaign;
  return (
    <>
      <SevenMetrics figures={campaign.metrics} before={before && (previous.data?.campaign?.metrics ?? null)} currency={currency} />
      <CampaignTrend id={id} windows={windows} currency={currency} />
      <Segments id={id} window={now} currency={currency} />
      <div className="columns">
        <div className="stack">
          <Funnel figures={campaign.metrics} file={`${campaign.key}-funnel`} />
          <Return roi={campaign.roi} currency={currency} file={`${campaign.key}-return`} />
        </div>
        <Cohorts id={id} />
      </div>
      <CampaignTests id={id} />
      <Advice id={id} />
    </>
  );
}

function CampaignTrend({ id, windows: { now, wholeBefore: before, apart }, currency }: { id: string; windows: Windows; currency: string }) {
  const [{ interval, metric }, setFilters] = useAddress(CAMPAIGN_FILTERS);
  const [current, ask] = useQuery({ query: CAMPAIGN_TREND, variables: { id, window: now, interval } });
  const [previous] = useQuery({ query: CAMPAIGN_TREND, variables: { id, window: before, interval }, pause: before === null });
  useKeptFresh(ask, FRESH_SECONDS);
  return (
    <Trend
      result={current}
      points={current.data?.campaign?.trend ?? []}
      before={(before && previous.data?.campaign?.trend) ?? []}
      {...{ apart, interval, metric, currency }}
      file={`${id}-trend`}
      onChange={setFilters}
      onRetry={ask}
    />
  );
}

function Facts({ campaign }: { campaign: Campaign }) {
  const { merchant, channels, offerAmount, currency, budget, startsAt, endsAt, status } = campaign;
  const facts = [
    `${merchant.name} (${merchant.category})`,
    `${formatMoney(offerAmount, currency)} cash back`,
    `over ${channels.map(inWords).join(", ")}`,
    budget && `budget ${formatMoney(budget, currency)}`,
    startsAt && `from ${formatDay(startsAt)}`,
    endsAt && `to ${formatDay(endsAt)}`,
  ];
  return (
    <>
      <StatusBadge status={status} /> {facts.filter(Boolean).join(" · ")}
    </>
  );
}

/** Ask again when something has happened, but not more often than every few seconds. */
function useFollowed(news: unknown, ask: (options: { requestPolicy: "network-only" }) => void): void {
  const last = useRef(0);
  useEffect(() => {
    if (news === undefined) return;
    const timer = setTimeout(
      () => {
        last.current = Date.now();
        ask({ requestPolicy: "network-only" });
      },
      Math.max(0, last.current + ASK_AGAIN - Date.now()),
    );
    return () => clearTimeout(timer);
  }, [news, ask]);
}
