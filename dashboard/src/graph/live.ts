import { createClient, type Client } from "graphql-ws";
import type { Connection } from "./connection";

const FORBIDDEN = 4403;
const PING_EVERY = 8_000;
const PONG_WITHIN = 4_000;
const LONGEST_WAIT = 4_000;

interface LiveOptions {
  url: string;
  authorization: string;
  connection: Connection;
  onRefused: () => void;
}

const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

const retryWait = (retries: number) =>
  wait(Math.min(LONGEST_WAIT, 250 * 2 ** retries) * (0.75 + 0.5 * Math.random()));

/** The WebSocket: always open while a key is there, tried again for ever, and watched by pings. */
export function openLive({ url, authorization, connection, onRefused }: LiveOptions): Client {
  let missing: ReturnType<typeof setTimeout> | undefined;
  const client = createClient({
    url,
    connectionParams: { Authorization: authorization },
    lazy: false,
    keepAlive: PING_EVERY,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait,
    onNonLazyError: () => connection.lost(),
    on: {
      connected: () => connection.opened(),
      ping: (received) => {
        if (!received) missing = setTimeout(() => client.terminate(), PONG_WITHIN);
      },
      pong: (received) => {
        if (received) clearTimeout(missing);
      },
      closed: (event) => {
        clearTimeout(missing);
        if ((event as CloseEvent).code === FORBIDDEN) onRefused();
        else connection.lost();
      },
    },
  });
  return client;
}
