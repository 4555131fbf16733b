import { useQuery } from "urql";
import { Answer, Card, Empty, Skeleton } from "@/components";
import { OfferCurve, Recommendations, SegmentRanking } from "@/components/advice";
import { CAMPAIGN_ADVICE } from "./documents";
import { SendingEffect } from "./SendingEffect";

/** What the models say of a campaign: what to do, which amount, which segments. */
export function Advice({ id }: { id: string }) {
  const [result, ask] = useQuery({ query: CAMPAIGN_ADVICE, variables: { id } });
  return (
    <Answer of={result} onRetry={ask} skeleton={<Skeleton height={260} />}>
      {({ campaign }) => {
        if (!campaign) return null;
        const { currency, offerAmount, offerRecommendation, offerRefusal, segmentRanking, segmentRefusal, sendingEffect, sendingEffectRefusal, recommendations } = campaign;
        return (
          <>
            <Card title="Recommendations">
              {recommendations.length === 0 ? (
                <Empty title="Nothing is recommended for this campaign now" />
              ) : (
                <Recommendations recommendations={recommendations} currencyOf={() => currency} />
              )}
            </Card>
            <div className="columns">
              {offerRecommendation ? (
                <OfferCurve offer={offerRecommendation} {...{ offerAmount, currency }} file={`${id}-offer`} />
              ) : (
                <Card title="Offer amount">
                  <Empty title="No amount is recommended yet">
                    {offerRefusal ?? "Train the offer model on the recommendations' page."}
                  </Empty>
                </Card>
              )}
              <SegmentRanking ranking={segmentRanking} refusal={segmentRefusal} file={`${id}-segment-ranking`} />
            </div>
            <SendingEffect effect={sendingEffect} refusal={sendingEffectRefusal} />
          </>
        );
      }}
    </Answer>
  );
}
