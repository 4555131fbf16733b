import { render, type RenderResult } from "@testing-library/react";
import { Client, makeErrorResult, makeResult, type Exchange, type Operation } from "@urql/core";
import { Kind } from "graphql";
import type { ReactNode } from "react";
import { filter, fromArray, mergeMap, never, pipe, type Source } from "wonka";
import { GraphProvider } from "@/graph";
import { Connection } from "@/graph/connection";

/** What an operation is answered, by its name: data, or a function of its variables; several for a subscription. */
export type Answers = Record<string, unknown>;

/** Answered where the server would refuse. */
export class Refusal {
  readonly code: string;
  readonly message: string;

  constructor(code: string, message = "Refused.") {
    this.code = code;
    this.message = message;
  }
}

/** Answered where the server cannot be reached. */
export const UNREACHABLE = new Error("unreachable");

/** Answered where the answer is still on its way. */
export const WAITING = Symbol("waiting");

/** Several answers of a subscription, one after the other. */
export class Series {
  readonly answers: unknown[];

  constructor(...answers: unknown[]) {
    this.answers = answers;
  }
}

interface Rendered extends RenderResult {
  connection: Connection;
  /** Every operation asked so far: its name and variables. */
  asked: { name: string; variables: Record<string, unknown> }[];
}

/** Render a page with a graph that answers from a table, at a path of the address. */
export function renderWithGraph(page: ReactNode, { answers = {}, path = "/" }: { answers?: Answers; path?: string } = {}): Rendered {
  history.replaceState(null, "", path);
  const asked: Rendered["asked"] = [];
  const connection = new Connection();
  const answering: Exchange = () => (operations) =>
    pipe(
      operations,
      filter((operation) => operation.kind !== "teardown"),
      mergeMap((operation) => {
        const name = nameOf(operation);
        const variables = operation.variables as Record<string, unknown>;
        asked.push({ name, variables });
        return resultsOf(operation, answerTo(answers, name, variables));
      }),
    );
  const client = new Client({ url: "/graphql", preferGetMethod: false, exchanges: [answering] });
  const graph = { client, connection, close: () => undefined };
  return { ...render(<GraphProvider graph={graph}>{page}</GraphProvider>), connection, asked };
}

function nameOf(operation: Operation): string {
  for (const definition of operation.query.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) return definition.name?.value ?? "";
  }
  return "";
}

function answerTo(answers: Answers, name: string, variables: Record<string, unknown>): unknown {
  if (!(name in answers)) throw new Error(`Nothing answers ${name}.`);
  const answer = answers[name];
  return typeof answer === "function" ? (answer as (variables: unknown) => unknown)(variables) : answer;
}

function resultsOf(operation: Operation, answer: unknown): Source<ReturnType<typeof makeResult>> {
  if (answer === WAITING) return never;
  const all = answer instanceof Series ? answer.answers : [answer];
  return fromArray(all.map((one) => resultOf(operation, one)));
}

function resultOf(operation: Operation, answer: unknown) {
  if (answer instanceof Error) return makeErrorResult(operation, answer);
  if (answer instanceof Refusal) {
    const { code, message } = answer;
    return makeResult(operation, { data: null, errors: [{ message, extensions: { code } }] as never, hasNext: false });
  }
  return makeResult(operation, { data: answer, hasNext: false } as never);
}
