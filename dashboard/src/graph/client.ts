import {
  cacheExchange,
  Client,
  fetchExchange,
  mapExchange,
  subscriptionExchange,
  type CombinedError,
} from "@urql/core";
import type { Client as LiveClient } from "graphql-ws";
import { Connection } from "./connection";
import { openLive } from "./live";
import { OwnChanges } from "./own-changes";
import { refetching } from "./refetching";

export const GRAPH = "/graphql";

/** The graph as one key sees it. */
export interface Graph {
  client: Client;
  connection: Connection;
  close: () => void;
}

const authorizationOf = (key: string) => `Bearer ${key}`;

const liveUrl = () => new URL(GRAPH, location.href.replace(/^http/, "ws")).href;

const isRefusal = (error: CombinedError) => (error.response as Response | undefined)?.status === 401;

/** Open the graph; `onRefused` is called where the key is not, or no longer, accepted. */
export function openGraph(key: string, onRefused: () => void): Graph {
  const connection = new Connection();
  const authorization = authorizationOf(key);
  const own = new OwnChanges();
  const live = openLive({ url: liveUrl(), authorization, connection, onRefused });
  const client = new Client({
    url: GRAPH,
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    fetchOptions: () => ({ headers: { Authorization: authorization, ...own.headers() } }),
    exchanges: [
      own.exchange,
      refetching(connection),
      mapExchange({ onError: (error) => isRefusal(error) && onRefused() }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({ forwardSubscription: (request) => ({ subscribe: subscribing(live, request) }) }),
    ],
  });
  return { client, connection, close: () => void live.dispose() };
}

type Forward = Parameters<Parameters<typeof subscriptionExchange>[0]["forwardSubscription"]>;
type Subscribing = ReturnType<Parameters<typeof subscriptionExchange>[0]["forwardSubscription"]>["subscribe"];

const subscribing =
  (live: LiveClient, { query = "", variables, operationName }: Forward[0]): Subscribing =>
  (sink) => ({
    unsubscribe: live.subscribe(
      {
        query,
        ...(variables ? { variables: variables as Record<string, unknown> } : {}),
        ...(operationName ? { operationName } : {}),
      },
      sink as Parameters<LiveClient["subscribe"]>[1],
    ),
  });

export type KeyCheck = "accepted" | "refused" | "unreachable";

/** Ask the server whether it knows a key. */
export async function checkKey(key: string): Promise<KeyCheck> {
  try {
    const response = await fetch(GRAPH, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: authorizationOf(key) },
      body: JSON.stringify({ query: "{ __typename }" }),
    });
    if (response.status === 401 || response.status === 403) return "refused";
    return response.ok ? "accepted" : "unreachable";
  } catch {
    return "unreachable";
  }
}
