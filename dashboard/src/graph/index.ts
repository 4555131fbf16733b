export { graphql } from "./generated";
export type * from "./generated/graphql";
export { openGraph, checkKey, type Graph, type KeyCheck } from "./client";
export type { ConnectionState } from "./connection";
export { GraphProvider, useConnection } from "./GraphProvider";
export { troubleOf, wordsOf, type Trouble } from "./errors";
export { useKeptFresh } from "./freshness";
