import { PageHeading } from "@/components";
import { CampaignAdvice } from "./CampaignAdvice";
import { Models } from "./Models";
import { NextSteps } from "./NextSteps";
import { PersonAdvice } from "./PersonAdvice";

/** What to do next, and what that rests on. */
export default function RecommendationsPage() {
  return (
    <div className="stack">
      <PageHeading title="Recommendations" note="What to do next, what it is expected to earn, and what that rests on." />
      <NextSteps />
      <CampaignAdvice />
      <PersonAdvice />
      <Models />
    </div>
  );
}
