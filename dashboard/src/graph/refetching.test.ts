import { Client, makeResult, type Exchange } from "@urql/core";
import { filter, map, pipe, subscribe } from "wonka";
import { beforeEach, expect, it } from "vitest";
import { Connection } from "./connection";
import { refetching } from "./refetching";

let connection: Connection;
let policies: string[];

const answering: Exchange = () => (operations) =>
  pipe(
    operations,
    filter(({ kind }) => kind === "query"),
    map((operation) => {
      policies.push(operation.context.requestPolicy);
      return makeResult(operation, { data: {}, hasNext: false });
    }),
  );

const shown = () => {
  const client = new Client({ url: "/graphql", preferGetMethod: false, exchanges: [refetching(connection), answering] });
  return pipe(client.query("{ a }", {}), subscribe(() => undefined));
};

const nextTask = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  connection = new Connection();
  policies = [];
});

it("asks what is shown again when a lost connection is back", async () => {
  shown();
  connection.opened();
  expect(policies).toHaveLength(1);
  connection.lost();
  connection.opened();
  await nextTask();
  expect(policies).toEqual(["cache-first", "network-only"]);
});

it("does not ask what is no longer shown", async () => {
  shown().unsubscribe();
  connection.lost();
  connection.opened();
  await nextTask();
  expect(policies).toHaveLength(1);
});

it("tells its state once for each change", () => {
  const told: string[] = [];
  const stop = connection.subscribe(() => told.push(connection.state()));
  connection.lost();
  connection.lost();
  connection.opened();
  stop();
  connection.lost();
  expect(told).toEqual(["lost", "open"]);
});
