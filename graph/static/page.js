"use strict";

// The page at /graphql: asks for a key once, then shows GraphiQL, or a plain editor where GraphiQL was not installed.

const STORED_KEY = "winnow-key";
const FIRST_QUERY = `# The five campaigns with the best return, and how many users each converted.
query BestCampaigns {
  topCampaigns(by: ROI, first: 5) {
    rank
    value
    campaign {
      key
      name
      merchant { name }
      metrics { sent converted revenue cost roi }
    }
  }
}
`;

const element = (id) => document.getElementById(id);

async function ask(key, request) {
  return fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", Authorization: `Bearer ${key}` },
    body: JSON.stringify(request),
  });
}

function askForKey(refusal) {
  sessionStorage.removeItem(STORED_KEY);
  element("graphiql").hidden = element("plain").hidden = element("forget").hidden = true;
  element("refusal").textContent = refusal ?? "";
  element("key-form").hidden = false;
  element("key").focus();
}

async function takeKey(event) {
  event.preventDefault();
  const key = element("key").value.trim();
  try {
    const response = await ask(key, { query: "{ __typename }" });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.errors?.[0]?.message ?? response.statusText);
    sessionStorage.setItem(STORED_KEY, key);
    element("key").value = "";
    show();
  } catch (error) {
    askForKey(error.message);
  }
}

async function fetcher(request) {
  const response = await ask(sessionStorage.getItem(STORED_KEY), request);
  const answer = await response.json();
  if (response.status === 401) askForKey(answer.errors?.[0]?.message);
  return answer;
}

let shown = false;

function show() {
  element("key-form").hidden = true;
  element("forget").hidden = false;
  const rich = "GraphiQL" in window && "ReactDOM" in window;
  element(rich ? "graphiql" : "plain").hidden = false;
  if (shown) return;
  shown = true;
  if (rich) showGraphiQL();
  else showPlain();
}

function showGraphiQL() {
  const root = ReactDOM.createRoot(element("graphiql"));
  const properties = { fetcher, defaultQuery: FIRST_QUERY, isHeadersEditorEnabled: false, shouldPersistHeaders: false };
  root.render(React.createElement(GraphiQL, properties));
}

function showPlain() {
  const operation = element("operation");
  operation.value = FIRST_QUERY;
  element("plain").addEventListener("submit", run);
  element("plain").addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.key === "Enter") run(event);
  });
}

async function run(event) {
  event.preventDefault();
  try {
    const variables = JSON.parse(element("variables").value || "{}");
    const answer = await fetcher({ query: element("operation").value, variables });
    element("answer").textContent = JSON.stringify(answer, null, 2);
  } catch (error) {
    element("answer").textContent = error.message;
  }
}

element("key-form").addEventListener("submit", takeKey);
element("forget").addEventListener("click", () => askForKey());
if (sessionStorage.getItem(STORED_KEY)) show();
else askForKey();
