import type { ReactNode } from "react";
import { formatChange } from "./format";

interface StatProps {
  name: string;
  value: string;
  /** Relative change against what was before, a fraction; null where it is not known. */
  change?: number | null;
  /** Whether more is better; undefined where neither is. */
  higherIsBetter?: boolean;
  note?: ReactNode;
}

/** One figure and how it changed. */
export function Stat({ name, value, change, higherIsBetter, note }: StatProps) {
  return (
    <div className="stat">
      <dt>{name}</dt>
      <dd>
        <span className="stat-value">{value}</span>
        {change !== undefined && <Change change={change} {...(higherIsBetter === undefined ? {} : { higherIsBetter })} />}
        {note && <small className="muted">{note}</small>}
      </dd>
    </div>
  );
}

export function Stats({ children }: { children: ReactNode }) {
  return <dl className="stats">{children}</dl>;
}

/** A relative change, told by an arrow and a sign and not by its colour alone. */
export function Change({ change, higherIsBetter }: { change: number | null; higherIsBetter?: boolean }) {
  if (change === null) return <span className="change">no comparison</span>;
  const direction = Math.abs(change) < 0.0005 ? "flat" : change > 0 ? "up" : "down";
  const good = higherIsBetter === undefined || direction === "flat" ? "" : (direction === "up") === higherIsBetter ? "good" : "bad";
  return (
    <span className={`change ${good}`}>
      <span aria-hidden="true">{{ up: "▲", down: "▼", flat: "＝" }[direction]}</span> {formatChange(change)}
    </span>
  );
}
