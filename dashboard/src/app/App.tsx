import { useSyncExternalStore } from "react";
import { GraphProvider } from "@/graph";
import { KeyForm } from "./KeyForm";
import type { Session } from "./session";
import { Shell } from "./Shell";

/** Asks for a key where there is none, and shows the pages with it. */
export function App({ session }: { session: Session }) {
  const { graph, refused } = useSyncExternalStore(session.subscribe, session.state);
  if (graph === null) return <KeyForm refused={refused} onEnter={session.enter} />;
  return (
    <GraphProvider graph={graph}>
      <Shell onForgetKey={() => session.leave()} />
    </GraphProvider>
  );
}
