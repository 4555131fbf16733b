import { openGraph, type Graph } from "@/graph";

// The same place as GraphiQL's, so that a key is asked for once for both. It goes with the tab, and is never in the address.
const STORED = "winnow-key";

export interface SessionState {
  /** null while there is no key. */
  graph: Graph | null;
  /** Whether the last key was refused after it had been accepted. */
  refused: boolean;
}

/** The key of this tab, and the graph as it sees it. */
export class Session {
  #state: SessionState = { graph: null, refused: false };
  readonly #listeners = new Set<() => void>();

  constructor() {
    const key = sessionStorage.getItem(STORED);
    if (key) this.enter(key);
  }

  readonly state = (): SessionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly enter = (key: string): void => {
    sessionStorage.setItem(STORED, key);
    this.#become({ graph: openGraph(key, () => this.leave(true)), refused: false });
  };

  readonly leave = (refused = false): void => {
    sessionStorage.removeItem(STORED);
    this.#state.graph?.close();
    this.#become({ graph: null, refused });
  };

  #become(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
