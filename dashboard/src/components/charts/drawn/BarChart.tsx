import type { BarChartProps } from "../types";
import { Canvas } from "./Canvas";
import { extent, linearScale } from "./scales";
import { colorClass, fitted, widest } from "./text";

const ROW = 30;
const THICK = 18;
const GAP = 8;

export default function BarChart({ label, bars, format, height }: BarChartProps) {
  const words = bars.map(({ value }) => (value === null ? "–" : format(value)));
  const reach = extent(bars.flatMap(({ value, low, high }) => [value, low, high]).filter((one) => typeof one === "number"), [0]);
  return (
    <Canvas label={label} height={height ?? bars.length * ROW + 8}>
      {(width) => {
        const left = Math.min(widest(bars.map(({ name }) => name)) + GAP, width * 0.4);
        const scale = linearScale(reach, [left, width - widest(words) - 2 * GAP], format, 2, false);
        const zero = scale.at(0);
        return bars.map(({ name, value, color = 0, low, high }, index) => (
          <g key={name} transform={`translate(0,${index * ROW + ROW / 2 + 4})`}>
            <text className="row-name" dominantBaseline="central">
              {fitted(name, left - GAP)}
            </text>
            {value !== null && (
              <rect
                className={`bar ${colorClass(color)}`}
                x={Math.min(zero, scale.at(value))}
                width={Math.max(1, Math.abs(scale.at(value) - zero))}
                y={-THICK / 2}
                height={THICK}
                rx={3}
              />
            )}
            {low !== undefined && high !== undefined && <line className="whisker" x1={scale.at(low)} x2={scale.at(high)} />}
            <text x={Math.max(zero, scale.at(Math.max(value ?? 0, high ?? 0))) + GAP} dominantBaseline="central">
              {words[index]}
            </text>
          </g>
        ));
      }}
    </Canvas>
  );
}
