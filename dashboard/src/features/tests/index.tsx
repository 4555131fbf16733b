import { Route, Switch } from "wouter";
import { SampleSizePage } from "./SampleSizePage";
import { TestForm } from "./TestForm";
import { TestListPage } from "./TestListPage";
import { TestPage } from "./TestPage";

/** All tests, one of them, a new one, and how many units one needs. */
export default function Tests() {
  return (
    <Switch>
      <Route path="/tests/-/new">
        <TestForm />
      </Route>
      <Route path="/tests/-/sample-size">
        <SampleSizePage />
      </Route>
      <Route path="/tests/:id">{({ id }) => <TestPage key={id} id={id} />}</Route>
      <Route>
        <TestListPage />
      </Route>
    </Switch>
  );
}
