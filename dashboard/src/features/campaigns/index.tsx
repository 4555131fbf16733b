import { Route, Switch } from "wouter";
import { CampaignPage } from "./CampaignPage";
import { PortfolioPage } from "./PortfolioPage";

/** All campaigns, and one of them. */
export default function Campaigns() {
  return (
    <Switch>
      <Route path="/campaigns/:id">{({ id }) => <CampaignPage key={id} id={id} />}</Route>
      <Route>
        <PortfolioPage />
      </Route>
    </Switch>
  );
}
