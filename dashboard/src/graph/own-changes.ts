import { mapExchange, type Exchange } from "@urql/core";

/** Longer than a read replica of usual settings is behind. */
export const FRESH_MILLISECONDS = 30_000;

/** Who changed something on this page sees it: for a while no read replica answers. */
export class OwnChanges {
  private changedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly now: () => number = Date.now) {}

  /** Notes every mutation, when it is asked for and when it is answered. */
  get exchange(): Exchange {
    const note = ({ kind }: { kind: string }) => {
      if (kind === "mutation") this.changedAt = this.now();
    };
    return mapExchange({ onOperation: note, onResult: ({ operation }) => note(operation) });
  }

  /** What to send with a request. */
  headers(): Record<string, string> {
    return this.now() - this.changedAt < FRESH_MILLISECONDS ? { "X-Winnow-Source": "primary" } : {};
  }
}
