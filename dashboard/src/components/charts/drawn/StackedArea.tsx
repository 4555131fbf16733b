import { Area } from "@visx/shape";
import { useState } from "react";
import { formatPercent } from "../../format";
import type { StackedAreaProps } from "../types";
import { BottomAxis, LeftAxis } from "./Axes";
import { Canvas, HEIGHT, type Hint } from "./Canvas";
import { Legend, placeLegend } from "./Legend";
import { extent, formatUtc, linearScale, timeScale } from "./scales";
import { colorClass } from "./text";

const LEFT = 52;
const RIGHT = 26;

export default function StackedArea({ label, names, points, formatX = formatUtc, height = HEIGHT }: StackedAreaProps) {
  const [hint, setHint] = useState<Hint | null>(null);
  const held = points.flatMap((point, index) => {
    const next = points[index + 1];
    return next ? [point, { ...point, x: next.x }] : [point];
  });
  const below = (shares: readonly number[], count: number) => shares.slice(0, count).reduce((sum, share) => sum + share, 0);
  const point = (left: number, top: number, width: number) => {
    const reached = width - LEFT - RIGHT;
    const x = timeScale(extent(points.map((one) => one.x)), [0, reached]);
    const held = points.findLast((one) => x.at(one.x) <= left - LEFT) ?? points[0];
    if (!held) return;
    const lines = names.map((name, color) => ({ name, color: color % 6, value: formatPercent(held.shares[color]) }));
    setHint({ x: Math.max(LEFT, Math.min(left, width)), y: top, title: formatX(held.x), lines });
  };
  return (
    <Canvas label={label} height={height} hint={hint} onPoint={point} onLeave={() => setHint(null)}>
      {(width) => {
        const legend = placeLegend(names.map((name, color) => ({ name, color })), width);
        const top = legend.height + 8;
        const inner = height - top - 28;
        const reached = width - LEFT - RIGHT;
        const y = linearScale([0, 1], [inner, 0], formatPercent, 4);
        const x = timeScale(extent(points.map((point) => point.x)), [0, reached]);
        return (
          <>
            <Legend placed={legend.placed} />
            <g transform={`translate(${LEFT},${top})`}>
              {names.map((name, index) => (
                <Area
                  key={name}
                  data={held}
                  x={(point) => x.at(point.x)}
                  y0={({ shares }) => y.at(below(shares, index))}
                  y1={({ shares }) => y.at(below(shares, index + 1))}
                  className={`layer ${colorClass(index)}`}
                />
              ))}
              <LeftAxis scale={y} width={reached} height={inner} />
              <BottomAxis scale={x} width={reached} height={inner} />
            </g>
          </>
        );
      }}
    </Canvas>
  );
}
