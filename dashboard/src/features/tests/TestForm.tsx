import { useState, type SyntheticEvent } from "react";
import { useMutation } from "urql";
import { Link, useLocation } from "wouter";
import { Button, Card, inWords, Notice, PageHeading, Select, useAddress, text } from "@/components";
import { wordsOf } from "@/graph";
import { CampaignPicker } from "./CampaignPicker";
import { CREATE } from "./documents";
import {
  EMPTY,
  equalWeights,
  EVENTS,
  inputOf,
  KINDS,
  NEW_GUARDRAIL,
  NO_PAYLOAD,
  POLICIES,
  problemsOf,
  slugOf,
  type GuardrailDraft,
  type MetricDraft,
  type Problems,
  type TestDraft,
  type VariantDraft,
} from "./form";
import { PayloadFields } from "./PayloadFields";
import { TargetingFields } from "./TargetingFields";
import { Text } from "./Text";

const PREFILLED = { campaign: text(), baseline: text(), effect: text(), size: text() };

const POLICY_HINTS: Record<(typeof POLICIES)[number], string> = {
  FIXED: "Shares stay as they are: the surest way to learn how much better a variant is.",
  THOMPSON: "Earns while testing; finds a difference about a third as often as an even split.",
  TOP_TWO_THOMPSON: "Moves traffic to find the winner soonest.",
  UCB: "Moves traffic where rewards come at once.",
  EPSILON_GREEDY: "The best so far gets all but a tenth: everybody understands it.",
  CONTEXTUAL_THOMPSON: "Each user gets what suits users like them, by the attributes named.",
};

/** A new test. */
export function TestForm() {
  const [address] = useAddress(PREFILLED);
  const [draft, setDraft] = useState<TestDraft>({
    ...EMPTY,
    campaignId: address.campaign,
    baseline: address.baseline,
    minimumDetectableEffect: address.effect,
    targetSampleSize: address.size,
  });
  const [keyTyped, setKeyTyped] = useState(false);
  const [problems, setProblems] = useState<Problems>({});
  const [state, create] = useMutation(CREATE);
  const [, navigate] = useLocation();
  const change = (changes: Partial<TestDraft>) => setDraft((before) => ({ ...before, ...changes }));
  const save = async (event: SyntheticEvent) => {
    event.preventDefault();
    const { input, problems: unread } = inputOf(draft);
    setProblems(unread);
    if (Object.keys(unread).length > 0) return;
    const { data, error } = await create({ input });
    if (error) setProblems({ "": wordsOf(error) });
    else if (data?.createTest.test) navigate(`/tests/${data.createTest.test.key}`);
    else setProblems(problemsOf(data?.createTest.errors ?? []));
  };
  const shown = new Set<string>();
  const problem = (path: string) => {
    shown.add(path);
    return problems[path];
  };
  const setName = (name: string) => change({ name, ...(keyTyped ? {} : { key: slugOf(name) }) });
  const setKey = (key: string) => {
    setKeyTyped(true);
    change({ key });
  };
  const fields = <FormFields {...{ draft, change, problem }} onName={setName} onKey={setKey} />;
  const others = Object.entries(problems).filter(([path]) => !shown.has(path));
  return (
    <div className="stack">
      <p>
        <Link href="/tests">All tests</Link>
      </p>
      <PageHeading title="New test" note="It is a draft until it is started." />
      <form className="test-form" onSubmit={(event) => void save(event)} noValidate>
        {fields}
        {others.length > 0 && (
          <Notice tone="bad" title="It was not made">
            {others.map(([path, words]) => (
              <p key={path}>
                {path && <strong>{path}: </strong>}
                {words}
              </p>
            ))}
          </Notice>
        )}
        <div className="form-actions">
          <Button kind="primary" type="submit" disabled={state.fetching}>
            Make the draft
          </Button>
          <Link className="button plain" href="/tests">
            Leave
          </Link>
        </div>
      </form>
    </div>
  );
}

interface FieldsProps {
  draft: TestDraft;
  change: (changes: Partial<TestDraft>) => void;
  problem: (path: string) => string | undefined;
  onName: (name: string) => void;
  onKey: (key: string) => void;
}

function FormFields({ draft, change, problem, onName, onKey }: FieldsProps) {
  return (
    <>
      <Card title="What it is">
        <div className="form-grid">
          <Text label="Name" value={draft.name} problem={problem("name")} onText={onName} required />
          <Text label="Key" hint="A slug; its OpenFeature flag too" value={draft.key} problem={problem("key")} onText={onKey} required />
          <CampaignPicker value={draft.campaignId} problem={problem("campaignId")} onChange={(campaignId) => change({ campaignId })} />
          <Text label="Hypothesis" hint="What you expect, and why" value={draft.hypothesis} problem={problem("hypothesis")} onText={(hypothesis) => change({ hypothesis })} />
        </div>
      </Card>
      <Variants variants={draft.variants} problem={problem} onChange={(variants) => change({ variants })} />
      <Card title="Metric" note="What decides">
        <MetricFields metric={draft.metric} path="metric" problem={problem} onChange={(metric) => change({ metric })} />
      </Card>
      <Guardrails guardrails={draft.guardrails} problem={problem} onChange={(guardrails) => change({ guardrails })} />
      <Size draft={draft} change={change} problem={problem} />
      <Traffic draft={draft} change={change} problem={problem} />
    </>
  );
}

interface VariantsProps {
  variants: VariantDraft[];
  problem: FieldsProps["problem"];
  onChange: (variants: VariantDraft[]) => void;
}

function Variants({ variants, problem, onChange }: VariantsProps) {
  const set = (index: number, changes: Partial<VariantDraft>) =>
    onChange(variants.map((one, place) => (place === index ? { ...one, ...changes } : one)));
  const share = (all: VariantDraft[]) => {
    const weights = equalWeights(all.length);
    onChange(all.map((one, index) => ({ ...one, weight: weights[index] ?? "0" })));
  };
  const add = () => share([...variants, { key: `variant-${variants.length + 1}`, name: `Variant ${variants.length + 1}`, weight: "0", isControl: false, payload: NO_PAYLOAD }]);
  return (
    <Card title="Variants" note="Shares sum to 100 percent; one is the control">
      {problem("variants") && <Notice tone="bad">{problem("variants")}</Notice>}
      {variants.map((variant, index) => (
        <div key={index} className="variant-row" role="group" aria-label={`Variant ${index + 1}`}>
          <Text label="Name" value={variant.name} problem={problem(`variants.${index}.name`)} onText={(name) => set(index, { name })} />
          <Text label="Key" value={variant.key} problem={problem(`variants.${index}.key`)} onText={(key) => set(index, { key })} />
          <Text label="Share, percent" inputMode="decimal" value={variant.weight} problem={problem(`variants.${index}.weight`)} onText={(weight) => set(index, { weight })} />
          <PayloadFields payload={variant.payload} problem={problem(`variants.${index}.payload`)} onChange={(payload) => set(index, { payload })} />
          <label>
            <input
              type="radio"
              name="control"
              checked={variant.isControl}
              onChange={() => onChange(variants.map((one, place) => ({ ...one, isControl: place === index })))}
            />{" "}
            Control
          </label>
          {variants.length > 2 && (
            <Button kind="quiet" onClick={() => share(variants.filter((_, place) => place !== index))} aria-label={`Remove ${variant.name}`}>
              Remove
            </Button>
          )}
        </div>
      ))}
      <div className="form-actions">
        <Button onClick={add}>Add a variant</Button>
        <Button kind="quiet" onClick={() => share(variants)}>
          Share equally
        </Button>
      </div>
    </Card>
  );
}

interface MetricProps<M extends MetricDraft> {
  metric: M;
  path: string;
  problem: FieldsProps["problem"];
  onChange: (metric: M) => void;
}

function MetricFields<M extends MetricDraft>({ metric, path, problem, onChange }: MetricProps<M>) {
  const set = (changes: Partial<MetricDraft>) => onChange({ ...metric, ...changes });
  return (
    <div className="form-grid">
      <Text label="Metric's name" value={metric.name} problem={problem(`${path}.name`)} onText={(name) => set({ name })} />
      <Text label="Metric's key" value={metric.key} problem={problem(`${path}.key`) ?? problem(path)} onText={(key) => set({ key })} required />
      <Select label="Kind" options={named(KINDS)} value={metric.kind} onChange={(kind) => set({ kind })} />
      <Select label="Event" options={named(EVENTS)} value={metric.event as (typeof EVENTS)[number]} onChange={(event) => set({ event })} />
      {metric.kind === "RATIO" && (
        <Select label="Over events" options={named(EVENTS)} value={metric.denominator as (typeof EVENTS)[number]} onChange={(denominator) => set({ denominator })} />
      )}
      <Text label="Window, hours" hint="After the exposure" inputMode="numeric" value={metric.windowHours} problem={problem(`${path}.windowHours`)} onText={(windowHours) => set({ windowHours })} />
      <Select
        label="Better is"
        options={[
          { value: "more", name: "More" },
          { value: "less", name: "Less" },
        ]}
        value={metric.higherIsBetter ? "more" : "less"}
        onChange={(better) => set({ higherIsBetter: better === "more" })}
      />
    </div>
  );
}

interface GuardrailsProps {
  guardrails: GuardrailDraft[];
  problem: FieldsProps["problem"];
  onChange: (guardrails: GuardrailDraft[]) => void;
}

function Guardrails({ guardrails, problem, onChange }: GuardrailsProps) {
  const set = (index: number, changed: GuardrailDraft) => onChange(guardrails.map((one, place) => (place === index ? changed : one)));
  return (
    <Card title="Guardrails" note="What must not get worse">
      {guardrails.map((guardrail, index) => (
        <div key={index} className="stack variant-row" role="group" aria-label={`Guardrail ${index + 1}`}>
          <MetricFields metric={guardrail} path={`guardrails.${index}`} problem={problem} onChange={(changed) => set(index, changed)} />
          <Text label="Margin, percent" hint="How much worse is still harmless, relative to the control" inputMode="decimal" value={guardrail.margin} problem={problem(`guardrails.${index}.margin`)} onText={(margin) => set(index, { ...guardrail, margin })} />
          <label>
            <input type="checkbox" checked={guardrail.stops} onChange={(event) => set(index, { ...guardrail, stops: event.target.checked })} /> Pause the test when it is breached
          </label>
          <Button kind="quiet" onClick={() => onChange(guardrails.filter((_, place) => place !== index))}>
            Remove the guardrail
          </Button>
        </div>
      ))}
      <Button onClick={() => onChange([...guardrails, NEW_GUARDRAIL])}>Add a guardrail</Button>
    </Card>
  );
}

type PartProps = Pick<FieldsProps, "draft" | "change" | "problem">;

function Size({ draft, change, problem }: PartProps) {
  const rate = draft.metric.kind === "CONVERSION";
  return (
    <Card
      title="How sure, and how many"
      note="A baseline and the smallest lift that matters set the size; or set it yourself"
      tools={<Link href="/tests/-/sample-size">What does it take?</Link>}
    >
      <div className="form-grid">
        <Text label={rate ? "Baseline, percent" : "Baseline"} hint="What the control does today" inputMode="decimal" value={draft.baseline} problem={problem("baseline")} onText={(baseline) => change({ baseline })} />
        <Text label="Smallest lift that matters, percent" hint="Relative to the baseline" inputMode="decimal" value={draft.minimumDetectableEffect} problem={problem("minimumDetectableEffect")} onText={(minimumDetectableEffect) => change({ minimumDetectableEffect })} />
        <Text label="Units a variant" hint="Empty: from the two before" inputMode="numeric" value={draft.targetSampleSize} problem={problem("targetSampleSize")} onText={(targetSampleSize) => change({ targetSampleSize })} />
        <Text label="Confidence, percent" inputMode="decimal" value={draft.confidenceLevel} problem={problem("confidenceLevel")} onText={(confidenceLevel) => change({ confidenceLevel })} />
        <Text label="Power, percent" inputMode="decimal" value={draft.power} problem={problem("power")} onText={(power) => change({ power })} />
      </div>
    </Card>
  );
}

function Traffic({ draft, change, problem }: PartProps) {
  const adaptive = draft.allocationPolicy !== "FIXED";
  return (
    <Card title="Traffic" note={POLICY_HINTS[draft.allocationPolicy]}>
      <div className="form-grid">
        <Select label="Policy" options={named(POLICIES)} value={draft.allocationPolicy} onChange={(allocationPolicy) => change({ allocationPolicy })} />
        {problem("allocationPolicy") && <Notice tone="bad">{problem("allocationPolicy")}</Notice>}
        {adaptive && (
          <>
            <Text label="Floor, percent" hint="The least share of each; empty: 20 over the number of variants" inputMode="decimal" value={draft.floor} problem={problem("floor")} onText={(floor) => change({ floor })} />
            <Text label="Reallocate every, minutes" inputMode="numeric" value={draft.reallocateEveryMinutes} problem={problem("reallocateEveryMinutes")} onText={(reallocateEveryMinutes) => change({ reallocateEveryMinutes })} />
            <Text label="Discount" hint="Empty: nothing is forgotten" inputMode="decimal" value={draft.discount} problem={problem("discount")} onText={(discount) => change({ discount })} />
          </>
        )}
        {draft.allocationPolicy === "CONTEXTUAL_THOMPSON" && (
          <Text label="Attributes" hint="Of users, divided by commas" value={draft.contextAttributes} problem={problem("contextAttributes")} onText={(contextAttributes) => change({ contextAttributes })} />
        )}
        <Text label="Coverage, percent" hint="Share of units in the test" inputMode="decimal" value={draft.coverage} problem={problem("coverage")} onText={(coverage) => change({ coverage })} />
        <Text label="Holdout, percent" hint="Share of units kept out of it" inputMode="decimal" value={draft.holdout} problem={problem("holdout")} onText={(holdout) => change({ holdout })} />
      </div>
      <TargetingFields targeting={draft.targeting} problem={problem("targeting")} onChange={(targeting) => change({ targeting })} />
    </Card>
  );
}

const named = <T extends string>(codes: readonly T[]) => codes.map((value) => ({ value, name: inWords(value) }));
