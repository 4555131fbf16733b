import { useQuery } from "urql";
import { Link } from "wouter";
import { Answer, Card, Empty, formatCount, inWords, Pages, Select, Skeleton, useAddress } from "@/components";
import { Recommendations } from "@/components/advice";
import { useKeptFresh, type AdviceNextQuery } from "@/graph";
import { CampaignSelect } from "./CampaignSelect";
import { NEXT } from "./documents";
import { FILTERS, KINDS } from "./filters";

type Row = AdviceNextQuery["recommendations"]["nodes"][number];

const PAGE = 10;
const FRESH_SECONDS = 30;

/** The recommendations that stand, filtered as the address says. */
export function NextSteps() {
  const [{ kind, about, after }, set] = useAddress(FILTERS);
  const [result, ask] = useQuery({
    query: NEXT,
    variables: { first: PAGE, after: after || null, kind: kind || null, campaignId: about || null },
  });
  useKeptFresh(ask, FRESH_SECONDS);
  return (
    <Card title="What to do next" note={result.data && `${formatCount(result.data.recommendations.totalCount)} in all`}>
      <div className="stack">
        <div className="row">
          <Select
            label="Kind"
            options={[{ value: "", name: "All kinds" }, ...KINDS.map((value) => ({ value, name: inWords(value) }))]}
            value={kind}
            onChange={(chosen) => set({ kind: chosen, after: "" })}
          />
          <CampaignSelect label="About" none="Any campaign" value={about} onChange={(chosen) => set({ about: chosen, after: "" })} />
        </div>
        <Answer of={result} onRetry={ask} skeleton={<Skeleton height={300} />}>
          {({ recommendations: { nodes, pageInfo } }) =>
            nodes.length === 0 ? (
              <Empty title="Nothing is recommended">
                Recommendations are made where the data can bear them, after each training and every six hours: train the models below, or ask for
                another kind.
              </Empty>
            ) : (
              <>
                <Recommendations recommendations={nodes} currencyOf={({ campaign }) => campaign?.currency ?? ""} below={(row) => <Links row={row} />} />
                <Pages after={after} pageInfo={pageInfo} onChange={(cursor) => set({ after: cursor })} />
              </>
            )
          }
        </Answer>
      </div>
    </Card>
  );
}

function Links({ row: { campaign, test } }: { row: Row }) {
  return (
    <p>
      {campaign && <Link href={`/campaigns/${campaign.key}`}>{campaign.name}</Link>}
      {campaign && test && " · "}
      {test && <Link href={`/tests/${test.key}`}>{test.name}</Link>}
    </p>
  );
}
