import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { useLocation } from "wouter";
import { Answer, Button, Card, Dialog, Empty, Field, Notice, Skeleton, useAddress } from "@/components";
import { OfferCurve, SegmentRanking } from "@/components/advice";
import { wordsOf, type AdviceCampaignQuery } from "@/graph";
import { CampaignSelect } from "./CampaignSelect";
import { CAMPAIGN, CREATE_AMOUNT_TEST } from "./documents";
import { FILTERS } from "./filters";

type Campaign = NonNullable<AdviceCampaignQuery["campaign"]>;

/** What the models say of one campaign: which amount, and whom it moves. */
export function CampaignAdvice() {
  const [{ campaign: id }, set] = useAddress(FILTERS);
  const [result, ask] = useQuery({ query: CAMPAIGN, variables: { id }, pause: id === "" });
  return (
    <Card title="A campaign's amount and segments" note="Choose one to see what its data tell">
      <div className="stack">
        <CampaignSelect label="Campaign" none="Choose a campaign" value={id} onChange={(campaign) => set({ campaign })} />
        {id && (
          <Answer of={result} onRetry={ask} skeleton={<Skeleton height={300} />}>
            {({ campaign }) => (campaign ? <Advice campaign={campaign} /> : <Empty title="There is no such campaign" />)}
          </Answer>
        )}
      </div>
    </Card>
  );
}

function Advice({ campaign }: { campaign: Campaign }) {
  const [asking, setAsking] = useState(false);
  const { key, offerRecommendation, offerAmount, currency, offerRefusal, segmentRanking, segmentRefusal } = campaign;
  return (
    <>
      {offerRecommendation ? (
        <OfferCurve offer={offerRecommendation} offerAmount={offerAmount} currency={currency} file={`${key}-amounts`} />
      ) : (
        <Notice title="No amount is advised">{offerRefusal ?? "No model of amounts is trained yet: train it below."}</Notice>
      )}
      <div className="row">
        <Button onClick={() => setAsking(true)}>Draw amounts by lot…</Button>
        <small className="muted">A test of random amounts on a share of users: what makes the curve a matter of cause.</small>
      </div>
      <SegmentRanking ranking={segmentRanking} refusal={segmentRefusal ?? null} file={`${key}-segments`} />
      {asking && <AmountTest campaign={campaign} onClose={() => setAsking(false)} />}
    </>
  );
}

const PERCENT = 100;

/** Amounts as typed, divided by commas or spaces. */
export const amountsOf = (typed: string): string[] => typed.split(/[\s;]+|,(?=\s)|,(?!\d{1,2}(?:\D|$))/).filter(Boolean);

function AmountTest({ campaign, onClose }: { campaign: Campaign; onClose: () => void }) {
  const [amounts, setAmounts] = useState("");
  const [share, setShare] = useState("10");
  const [problem, setProblem] = useState("");
  const [{ fetching }, create] = useMutation(CREATE_AMOUNT_TEST);
  const [, navigate] = useLocation();
  const make = async () => {
    const key = `${campaign.key.slice(0, 50)}-amounts`;
    const input = { campaignId: campaign.id, key, amounts: amountsOf(amounts), share: Number(share) / PERCENT };
    const { data, error } = await create({ input });
    const made = data?.createAmountTest;
    if (made?.test) navigate(`/tests/${made.test.key}`);
    else setProblem(error ? wordsOf(error) : (made?.errors ?? []).map(({ message }) => message).join(" "));
  };
  return (
    <Dialog title={`Draw ${campaign.name}'s amounts by lot`} onClose={onClose}>
      <div className="stack">
        <Field label="Amounts" hint="At least three, such as 2 5 10">
          {(control) => <input {...control} value={amounts} onChange={(event) => setAmounts(event.target.value)} />}
        </Field>
        <Field label="Share of users, percent" hint="The others get the campaign's own amount">
          {(control) => <input {...control} inputMode="decimal" value={share} onChange={(event) => setShare(event.target.value)} />}
        </Field>
        {problem && <Notice tone="bad">{problem}</Notice>}
        <div className="row">
          <Button kind="primary" disabled={fetching} onClick={() => void make()}>
            Make the draft
          </Button>
          <Button onClick={onClose}>Leave</Button>
        </div>
      </div>
    </Dialog>
  );
}
