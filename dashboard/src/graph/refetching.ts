import { makeOperation, type Exchange, type Operation } from "@urql/core";
import { pipe, tap } from "wonka";
import type { Connection } from "./connection";

/** Asks every query on the screen again once a lost connection is back. */
export const refetching =
  (connection: Connection): Exchange =>
  ({ client, forward }) => {
    const shown = new Map<number, Operation>();
    connection.onReturn(() => {
      for (const { kind, context, ...request } of shown.values()) {
        client.reexecuteOperation(makeOperation(kind, request, { ...context, requestPolicy: "network-only" }));
      }
    });
    return (operations) =>
      forward(
        pipe(
          operations,
          tap((operation) => {
            if (operation.kind === "query") shown.set(operation.key, operation);
            if (operation.kind === "teardown") shown.delete(operation.key);
          }),
        ),
      );
  };
