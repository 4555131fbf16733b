import { colorClass, widthOf } from "./text";

export interface LegendEntry {
  name: string;
  color: number;
  dashed?: boolean;
}

const ROW = 20;
const SWATCH = 22;
const GAP = 18;

interface Placed extends LegendEntry {
  x: number;
  row: number;
}

export function placeLegend(entries: readonly LegendEntry[], width: number): { placed: Placed[]; height: number } {
  const placed: Placed[] = [];
  let x = 0;
  let row = 0;
  for (const entry of entries) {
    const size = SWATCH + widthOf(entry.name) + GAP;
    if (x > 0 && x + size > width) {
      x = 0;
      row += 1;
    }
    placed.push({ ...entry, x, row });
    x += size;
  }
  return { placed, height: placed.length === 0 ? 0 : (row + 1) * ROW + 6 };
}

/** What each line is, within the drawing, so that it is in the PNG too. */
export function Legend({ placed }: { placed: readonly Placed[] }) {
  return (
    <g className="legend">
      {placed.map(({ name, color, dashed, x, row }) => (
        <g key={name} transform={`translate(${x},${row * ROW + 10})`}>
          <line x1={0} x2={16} className={`line ${colorClass(color)}`} strokeDasharray={dashed ? "4 3" : undefined} />
          <text x={SWATCH} dominantBaseline="central">
            {name}
          </text>
        </g>
      ))}
    </g>
  );
}
