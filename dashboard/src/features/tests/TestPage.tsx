import { useEffect } from "react";
import { useQuery, useSubscription, type UseQueryExecute } from "urql";
import { Link } from "wouter";
import { Answer, formatClock, formatDay, inWords, PageHeading, PageSkeleton, StatusBadge } from "@/components";
import { useConnection, useKeptFresh, type TestsPageQuery, type TestsResultsFragment } from "@/graph";
import { Actions } from "./Actions";
import { AllocationCard } from "./AllocationCard";
import { Course } from "./Course";
import { Densities } from "./Densities";
import { TEST, TEST_LIVE, TEST_STATE } from "./documents";
import { Guardrails } from "./Guardrails";
import { Health } from "./Health";
import { History } from "./History";
import { Lifts } from "./Lifts";
import { Schools } from "./Schools";
import { VerdictCard } from "./VerdictCard";

export type Test = NonNullable<TestsPageQuery["test"]>;
export type Results = TestsResultsFragment;

const FRESH_SECONDS = 30;

/** One test, its results as they move. */
export function TestPage({ id }: { id: string }) {
  const [result, ask] = useQuery({ query: TEST, variables: { id } });
  const [{ data: live, error }] = useSubscription({ query: TEST_LIVE, variables: { id } });
  const connection = useConnection();
  useKeptFresh(ask, FRESH_SECONDS, connection !== "open" || error !== undefined);
  const test = result.data?.test;
  useStateFollowed(id, test, ask);
  const results = live?.testResults ?? test?.results;
  return (
    <div className="stack">
      <p>
        <Link href="/tests">All tests</Link>
      </p>
      <PageHeading title={test?.name ?? "Test"} note={test && <Facts test={test} />}>
        {test && results && <Actions test={test} verdict={results.verdict} onChanged={() => ask({ requestPolicy: "network-only" })} />}
      </PageHeading>
      <Answer of={result} onRetry={ask} skeleton={<PageSkeleton />}>
        {() => test && results && <Sections test={test} results={results} />}
      </Answer>
    </div>
  );
}

/** Ask for the whole test anew once somebody else has started, paused or ended it, which no subscription tells. */
function useStateFollowed(id: string, test: Test | null | undefined, ask: UseQueryExecute) {
  const [{ data }, askState] = useQuery({ query: TEST_STATE, variables: { id }, requestPolicy: "network-only" });
  useKeptFresh(askState, FRESH_SECONDS);
  const status = data?.test?.status;
  const moved = status !== undefined && test !== null && test !== undefined && status !== test.status;
  useEffect(() => {
    if (moved) ask({ requestPolicy: "network-only" });
  }, [moved, ask]);
}

function Sections({ test, results }: { test: Test; results: Results }) {
  return (
    <>
      <VerdictCard test={test} results={results} />
      <Schools test={test} results={results} />
      <div className="columns">
        <Lifts test={test} results={results} />
        <Densities test={test} results={results} />
      </div>
      <Course test={test} results={results} />
      <div className="columns">
        <Health test={test} results={results} />
        <Guardrails test={test} results={results} />
      </div>
      {test.allocationPolicy !== "FIXED" && <AllocationCard test={test} />}
      <History test={test} />
    </>
  );
}

function Facts({ test }: { test: Test }) {
  const facts = [
    test.allocationPolicy === "FIXED" ? "A/B test" : `Bandit: ${inWords(test.allocationPolicy)}`,
    `judged by ${test.metric.name} within ${test.metric.windowHours} hours`,
    test.startedAt && `since ${formatDay(test.startedAt)}`,
    test.endedAt && `to ${formatDay(test.endedAt)}`,
  ];
  return (
    <>
      <StatusBadge status={test.status} /> {facts.filter(Boolean).join(" · ")}
      {test.campaign && (
        <>
          {" · "}
          <Link href={`/campaigns/${test.campaign.key}`}>{test.campaign.name}</Link>
        </>
      )}
      {test.hypothesis && <span className="hypothesis">{test.hypothesis}</span>}
    </>
  );
}

/** When the figures were computed; it moves while one looks. */
export function AsOf({ at }: { at: string }) {
  return <span className="muted">as of {formatClock(at)}</span>;
}
