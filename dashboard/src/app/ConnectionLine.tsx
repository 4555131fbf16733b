import { useConnection, type ConnectionState } from "@/graph";

const WORDS: Record<ConnectionState, string> = {
  connecting: "Connecting…",
  open: "Live",
  lost: "Connection lost, trying again…",
};

/** Says whether what is shown is live; nothing needs a reload when a lost connection is back. */
export function ConnectionLine() {
  const state = useConnection();
  return (
    <span className="connection" data-state={state} role="status">
      {WORDS[state]}
    </span>
  );
}
