import { Figure, formatCount, formatPercent, type Table } from "@/components";
import { BarChart } from "@/components/charts";
import type { Figures } from "./measures";

const STEPS = ["sent", "delivered", "opened", "clicked", "activated", "converted"] as const;

interface Step {
  name: string;
  count: number;
  share: number | null;
}

/** How many messages came how far. */
export function Funnel({ figures, file }: { figures: Figures; file: string }) {
  const steps = STEPS.map((name) => ({
    name: name.charAt(0).toUpperCase() + name.slice(1),
    count: figures[name],
    share: figures.sent > 0 ? figures[name] / figures.sent : null,
  }));
  return (
    <Figure title="From sent to converted" note="Events of each kind in the window." file={file} table={tableOf(steps)}>
      <BarChart
        label={`Of ${formatCount(figures.sent)} sent, ${formatCount(figures.converted)} converted.`}
        bars={steps.map(({ name, count }) => ({ name, value: count, color: name === "Converted" ? 2 : 0 }))}
        format={formatCount}
      />
    </Figure>
  );
}

const tableOf = (rows: Step[]): Table<Step> => ({
  rows,
  columns: [
    { name: "Step", value: ({ name }) => name },
    { name: "Events", value: ({ count }) => count, show: ({ count }) => formatCount(count), numeric: true },
    { name: "Of sent", value: ({ share }) => share, show: ({ share }) => formatPercent(share), numeric: true },
  ],
});
