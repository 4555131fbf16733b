import { Client, fetchExchange, gql } from "@urql/core";
import { expect, it } from "vitest";
import { FRESH_MILLISECONDS, OwnChanges } from "./own-changes";

const QUERY = gql`
  {
    __typename
  }
`;
const MUTATION = gql`
  mutation Change {
    __typename
  }
`;

it("asks the primary for a while after a mutation of its own, and only then", async () => {
  let now = 0;
  const sent: (string | null)[] = [];
  const own = new OwnChanges(() => now);
  const client = new Client({
    url: "http://winnow.test/graphql",
    preferGetMethod: false,
    requestPolicy: "network-only",
    fetchOptions: () => ({ headers: own.headers() }),
    fetch: (_url, options) => {
      sent.push(new Headers(options?.headers).get("X-Winnow-Source"));
      return Promise.resolve(Response.json({ data: { __typename: "Query" } }));
    },
    exchanges: [own.exchange, fetchExchange],
  });
  await client.query(QUERY, {});
  await client.mutation(MUTATION, {});
  now += FRESH_MILLISECONDS - 1;
  await client.query(QUERY, {});
  now += 1;
  await client.query(QUERY, {});
  expect(sent).toEqual([null, "primary", "primary", null]);
});
