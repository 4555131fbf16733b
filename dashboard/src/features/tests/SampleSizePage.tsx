import { useQuery } from "urql";
import { Link } from "wouter";
import {
  Answer,
  Card,
  choice,
  formatCount,
  formatFinePercent,
  formatNumber,
  formatPercent,
  MISSING,
  Notice,
  PageHeading,
  Select,
  Stat,
  Stats,
  text,
  useAddress,
} from "@/components";
import type { SampleSizeInput } from "@/graph";
import { SAMPLE_SIZE } from "./documents";
import { Text } from "./Text";

const FILTERS = {
  kind: choice(["CONVERSION", "REVENUE"], "CONVERSION"),
  baseline: text("5"),
  deviation: text("10"),
  effect: text("10"),
  power: text("80"),
  confidence: text("95"),
  variants: text("2"),
  daily: text("1000"),
};

type Typed = { [Name in keyof typeof FILTERS]: string } & { kind: "CONVERSION" | "REVENUE" };

const NOTHING: SampleSizeInput = { baseline: 0, minimumDetectableEffect: 0 };

const read = (typed: string, divisor = 1) => Number(typed.replace(",", ".")) / divisor;

/** The query's input of what was typed; null where a number is missing. */
export function sizeInputOf(typed: Typed): SampleSizeInput | null {
  const rate = typed.kind === "CONVERSION";
  const numbers = {
    baseline: read(typed.baseline, rate ? 100 : 1),
    minimumDetectableEffect: read(typed.effect, 100),
    power: read(typed.power, 100),
    confidenceLevel: read(typed.confidence, 100),
    variants: read(typed.variants),
    ...(rate ? {} : { standardDeviation: read(typed.deviation) }),
    ...(typed.daily ? { dailyUnits: read(typed.daily) } : {}),
  };
  const complete = [typed.baseline, typed.effect, typed.power, typed.confidence, typed.variants].every(Boolean);
  return complete && Object.values(numbers).every(Number.isFinite) ? { kind: typed.kind, ...numbers } : null;
}

/** How many units a test needs, and why. */
export function SampleSizePage() {
  const [typed, set] = useAddress(FILTERS);
  const input = sizeInputOf(typed);
  const asked = input ?? NOTHING;
  const [fixed, ask] = useQuery({ query: SAMPLE_SIZE, variables: { input: asked }, pause: input === null });
  const [looking] = useQuery({ query: SAMPLE_SIZE, variables: { input: { ...asked, sequential: true } }, pause: input === null });
  const rate = typed.kind === "CONVERSION";
  return (
    <div className="stack">
      <p>
        <Link href="/tests">All tests</Link>
      </p>
      <PageHeading title="Sample size" note="How many units it takes to find what matters, and how long that is." />
      <Card title="What you know, and what you want to know">
        <div className="form-grid">
          <Select
            label="Metric"
            options={[
              { value: "CONVERSION", name: "Conversion rate" },
              { value: "REVENUE", name: "Revenue a unit" },
            ]}
            value={typed.kind}
            onChange={(kind) => set({ kind })}
          />
          <Text label={rate ? "Baseline, percent" : "Baseline, a unit"} hint="What units do today" inputMode="decimal" value={typed.baseline} onText={(baseline) => set({ baseline })} />
          {!rate && <Text label="Standard deviation" hint="Of one unit's revenue" inputMode="decimal" value={typed.deviation} onText={(deviation) => set({ deviation })} />}
          <Text label="Smallest lift that matters, percent" hint="Relative to the baseline" inputMode="decimal" value={typed.effect} onText={(effect) => set({ effect })} />
          <Text label="Power, percent" hint="How often such a lift is found" inputMode="decimal" value={typed.power} onText={(power) => set({ power })} />
          <Text label="Confidence, percent" hint="How often nothing is found where nothing is" inputMode="decimal" value={typed.confidence} onText={(confidence) => set({ confidence })} />
          <Text label="Variants" hint="The control counts" inputMode="numeric" value={typed.variants} onText={(variants) => set({ variants })} />
          <Text label="Units a day" hint="In the whole test" inputMode="numeric" value={typed.daily} onText={(daily) => set({ daily })} />
        </div>
      </Card>
      {input === null ? (
        <Notice title="A number is missing">Fill in every field but the units a day.</Notice>
      ) : (
        <Answer of={fixed} onRetry={ask}>
          {({ sampleSize }) => <Explained typed={typed} input={input} size={sampleSize} looking={looking.data?.sampleSize} />}
        </Answer>
      )}
    </div>
  );
}

interface Size {
  perVariant: number;
  total: number;
  days?: number | null;
}

function Explained({ typed, input, size, looking }: { typed: Typed; input: SampleSizeInput; size: Size; looking: Size | undefined }) {
  const { baseline, minimumDetectableEffect: effect } = input;
  const write = typed.kind === "CONVERSION" ? (value: number) => formatFinePercent(value) : (value: number) => formatNumber(value);
  const days = (value: number | null | undefined) => (value == null ? MISSING : formatNumber(value));
  const address = new URLSearchParams({ baseline: typed.baseline, effect: typed.effect, size: String(size.perVariant) });
  return (
    <Card title="What it takes" tools={<Link className="button primary" href={`/tests/-/new?${address}`}>Make this test</Link>}>
      <div className="stack">
        <Stats>
          <Stat name="Units a variant" value={formatCount(size.perVariant)} />
          <Stat name="Units in all" value={formatCount(size.total)} />
          <Stat name="Days" value={days(size.days)} note="looking once, at the end" />
          <Stat name="Units in all, looking daily" value={formatCount(looking?.total)} note={looking && `${days(looking.days)} days at the most`} />
        </Stats>
        <p>
          If the control does {write(baseline)} and a variant truly does {write(baseline * (1 + effect))}, a test of {formatCount(size.total)} units
          says so in {formatPercent(input.power)} of cases. If there is no difference at all, it says so wrongly in only{" "}
          {formatPercent(1 - (input.confidenceLevel ?? 0.95))}.
        </p>
        <p>
          Half the lift takes four times the units: what is looked for is hidden in chance, and chance shrinks only with the square root of
          the number of units. To look at every moment and stop as soon as it is clear, plan for the larger number; on
          average it stops well before.
        </p>
      </div>
    </Card>
  );
}
