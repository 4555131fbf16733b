import { createContext, use, useSyncExternalStore, type ReactNode } from "react";
import { Provider } from "urql";
import type { Graph } from "./client";
import { Connection, type ConnectionState } from "./connection";

const ConnectionContext = createContext(new Connection());

/** Gives pages the graph: urql's hooks, and useConnection. */
export function GraphProvider({ graph, children }: { graph: Graph; children: ReactNode }) {
  return (
    <Provider value={graph.client}>
      <ConnectionContext value={graph.connection}>{children}</ConnectionContext>
    </Provider>
  );
}

export function useConnection(): ConnectionState {
  const connection = use(ConnectionContext);
  return useSyncExternalStore(connection.subscribe, connection.state);
}
