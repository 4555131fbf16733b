/** Whether the server is within reach, for whoever wants to show it or to act on it. */
export type ConnectionState = "connecting" | "open" | "lost";

type Listener = () => void;

/** A small observable: what the WebSocket says of the server. */
export class Connection {
  #state: ConnectionState = "connecting";
  readonly #listeners = new Set<Listener>();
  readonly #returns = new Set<Listener>();

  readonly state = (): ConnectionState => this.#state;

  /** Call `listener` on each change; answers what ends it. */
  readonly subscribe = (listener: Listener): Listener => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Call `listener` each time a lost connection is back. */
  readonly onReturn = (listener: Listener): Listener => {
    this.#returns.add(listener);
    return () => this.#returns.delete(listener);
  };

  opened(): void {
    const wasLost = this.#state === "lost";
    this.#become("open");
    if (wasLost) for (const listener of this.#returns) listener();
  }

  lost(): void {
    this.#become("lost");
  }

  #become(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
