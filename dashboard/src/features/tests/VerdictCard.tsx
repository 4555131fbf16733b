import { Badge, Card, formatCount, formatNumber, formatPercent, MISSING, Notice, Progress, Stat, Stats, type Tone } from "@/components";
import type { Decision } from "@/graph";
import { AsOf, type Results, type Test } from "./TestPage";
import "./tests.css";

const TONES: Record<Decision, Tone> = { WINNER: "good", NO_DIFFERENCE: "info", KEEP_RUNNING: "neutral", INVALID: "bad" };

const WORDS: Record<Decision, (winner: string) => string> = {
  WINNER: (winner) => `${winner} wins`,
  NO_DIFFERENCE: () => "No difference that matters",
  KEEP_RUNNING: () => "Keep running",
  INVALID: () => "Do not trust these results",
};

/** What the test says, in words, with why; read out when it changes. */
export function VerdictCard({ test, results }: { test: Test; results: Results }) {
  const { verdict, power, pending } = results;
  const exposed = results.totals.reduce((sum, total) => sum + total.exposed, 0);
  return (
    <Card title="Verdict" className={`verdict ${TONES[verdict.decision]}`} tools={<AsOf at={results.asOf} />}>
      <div className="stack">
        <p className="decision" role="status">
          {WORDS[verdict.decision](verdict.winner?.name ?? "A variant")}{" "}
          <Badge tone={verdict.agreed ? "good" : "warn"}>{verdict.agreed ? "Both schools agree" : "The schools do not agree yet"}</Badge>
        </p>
        <ul className="reasons">
          {verdict.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
        {pending && <Notice title="Not all can be said yet">{pending}</Notice>}
        {test.winner && <Notice title={`Declared winner: ${test.winner.name}`} />}
        <Stats>
          <Stat name="Units exposed" value={formatCount(exposed)} note={<Planned test={test} exposed={exposed} />} />
          <Stat name="Power at the effect that matters" value={formatPercent(power?.atMinimumDetectableEffect)} />
          <Stat name="Units still needed" value={formatCount(power?.remainingUnits)} />
          <Stat
            name="Days still needed"
            value={power?.daysRemaining == null ? MISSING : formatNumber(power.daysRemaining)}
            note="at the pace so far"
          />
        </Stats>
      </div>
    </Card>
  );
}

function Planned({ test, exposed }: { test: Test; exposed: number }) {
  if (test.targetSampleSize == null) return "no size planned";
  const planned = test.targetSampleSize * test.variants.length;
  return (
    <>
      <Progress value={exposed / planned} label="Progress to the planned size" />
      of {formatCount(planned)} planned
    </>
  );
}
