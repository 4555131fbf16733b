import { changeOf, Stat, Stats } from "@/components";
import { numberOf, SEVEN, write, type Figures } from "./measures";

interface SevenMetricsProps {
  figures: Figures;
  /** Of the window before; null where there is none. */
  before: Figures | null;
  currency: string;
}

/** The seven calculated metrics, each with its change against the window before. */
export function SevenMetrics({ figures, before, currency }: SevenMetricsProps) {
  return (
    <div className="stack">
      <Stats>
      {SEVEN.map((measure) => (
        <Stat
          key={measure.metric}
          name={measure.name}
          value={write(numberOf(figures, measure), measure, currency)}
          higherIsBetter={measure.higherIsBetter}
          {...(before ? { change: changeOf(numberOf(figures, measure), numberOf(before, measure)) } : {})}
          note={measure.note}
        />
      ))}
      </Stats>
      {before && <p className="muted small">Changes are against the window before, of the same length.</p>}
    </div>
  );
}
