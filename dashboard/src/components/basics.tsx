import { useId, type ButtonHTMLAttributes, type ReactNode } from "react";
import { useTitle } from "./useTitle";

type ButtonKind = "primary" | "plain" | "quiet" | "danger";

export function Button({ kind = "plain", type = "button", className = "", ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & { kind?: ButtonKind }) {
  return <button type={type} className={`button ${kind} ${className}`} {...rest} />;
}

/** A line drawing on a 24 × 24 grid; decorative. */
export function Icon({ path }: { path: string }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** The page's one h1, with what belongs beside it; names the browser's tab too. */
export function PageHeading({ title, note, children }: { title: string; note?: ReactNode; children?: ReactNode }) {
  useTitle(title);
  return (
    <div className="page-heading">
      <div>
        <h1>{title}</h1>
        {note && <p className="muted">{note}</p>}
      </div>
      {children && <div className="page-tools">{children}</div>}
    </div>
  );
}

interface CardProps {
  title: string;
  note?: ReactNode;
  tools?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A titled region of a page. */
export function Card({ title, note, tools, className = "", children }: CardProps) {
  const heading = useId();
  return (
    <section className={`card ${className}`} aria-labelledby={heading}>
      <div className="card-heading">
        <div>
          <h2 id={heading}>{title}</h2>
          {note && <p className="muted">{note}</p>}
        </div>
        {tools && <div className="card-tools">{tools}</div>}
      </div>
      {children}
    </section>
  );
}

export type Tone = "good" | "bad" | "warn" | "info" | "neutral";

/** A short status, told by its words; the colour only repeats it. */
export function Badge({ tone = "neutral", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

const STATUS_TONES: Partial<Record<string, Tone>> = {
  ACTIVE: "good",
  RUNNING: "good",
  SUCCEEDED: "good",
  PAUSED: "warn",
  DRAFT: "info",
  FAILED: "bad",
};

/** The status of a campaign, a test or a job. */
export function StatusBadge({ status }: { status: string }) {
  return <Badge tone={STATUS_TONES[status] ?? "neutral"}>{status.charAt(0) + status.slice(1).toLowerCase()}</Badge>;
}

/** How much is done: `value` is a fraction. */
export function Progress({ value, label }: { value: number; label: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <div className="progress" role="progressbar" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width={percent} height="1" />
      </svg>
    </div>
  );
}

/** A message beside what it is about; `tone` bad is announced at once. */
export function Notice({ tone = "info", title, children }: { tone?: Tone; title?: string; children?: ReactNode }) {
  return (
    <div className={`notice ${tone}`} role={tone === "bad" ? "alert" : "note"}>
      {title && <strong>{title}</strong>}
      {children && <div>{children}</div>}
    </div>
  );
}
