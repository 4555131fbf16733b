import { Component, type ErrorInfo, type ReactNode } from "react";
import type { UseQueryState } from "urql";
import { troubleOf, wordsOf, type Trouble } from "@/graph";
import { Button } from "./basics";

/** What stands where something is on its way. */
export function Skeleton({ height = 120, label = "Loading" }: { height?: number; label?: string }) {
  return (
    <div className="skeleton" role="status" style={{ height }}>
      <span className="visually-hidden">{label}…</span>
    </div>
  );
}

export function PageSkeleton() {
  return (
    <div className="stack">
      <Skeleton height={44} />
      <Skeleton height={120} />
      <Skeleton height={320} />
    </div>
  );
}

interface StateProps {
  title: string;
  children?: ReactNode;
}

/** Nothing is wrong, there is just nothing to show; says what would bring something. */
export function Empty({ title, children }: StateProps) {
  return (
    <div className="state">
      <p className="state-title">{title}</p>
      {children && <div className="muted">{children}</div>}
    </div>
  );
}

const TITLES: Record<Trouble, string> = {
  unreachable: "The server cannot be reached",
  "not-allowed": "This key may not see this",
  "not-found": "There is no such thing here",
  refused: "The server could not answer",
};

const ADVICE: Partial<Record<Trouble, string>> = {
  unreachable: "It is asked again as soon as it is back; no reload is needed.",
  "not-allowed": "Leave, and enter a key of the role analyst or admin.",
};

/** Something is wrong: what, and what to do. */
export function Failure({ trouble, words, onRetry }: { trouble: Trouble; words?: string; onRetry?: () => void }) {
  return (
    <div className="state failure" role="alert">
      <p className="state-title">{TITLES[trouble]}</p>
      {words && <p>{words}</p>}
      {ADVICE[trouble] && <p className="muted">{ADVICE[trouble]}</p>}
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

interface AnswerProps<Data> {
  of: UseQueryState<Data, never> | UseQueryState<Data>;
  skeleton?: ReactNode;
  onRetry?: () => void;
  children: (data: Data) => ReactNode;
}

/** Shows a query's data, or why there is none; data already there stays while a connection is lost. */
export function Answer<Data>({ of: { data, error }, skeleton = <Skeleton />, onRetry, children }: AnswerProps<Data>) {
  if (error && (!data || error.graphQLErrors.length > 0)) {
    const trouble = troubleOf(error);
    const words = trouble === "unreachable" ? undefined : wordsOf(error);
    return <Failure trouble={trouble} {...(words ? { words } : {})} {...(onRetry ? { onRetry } : {})} />;
  }
  return data ? children(data) : skeleton;
}

/** Keeps an error in one page from taking the others with it. */
export class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <div className="state failure" role="alert">
        <p className="state-title">This page broke</p>
        <p className="muted">The browser&apos;s console has the details.</p>
        <Button onClick={() => this.setState({ failed: false })}>Show it again</Button>
      </div>
    );
  }
}
