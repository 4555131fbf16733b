import type { IntervalChartProps } from "../types";
import { BottomAxis } from "./Axes";
import { Canvas } from "./Canvas";
import { extent, linearScale } from "./scales";
import { colorClass, fitted, widest } from "./text";

const ROW = 44;

export default function IntervalChart({ label, intervals, format, references = [{ value: 0 }], nameX, height }: IntervalChartProps) {
  const bottom = nameX ? 46 : 30;
  const inner = height ? height - bottom : intervals.length * ROW;
  const row = inner / Math.max(1, intervals.length);
  const reach = extent(
    intervals.flatMap(({ low, point, high }) => [low, point, high]),
    references.map(({ value }) => value),
  );
  return (
    <Canvas label={label} height={inner + bottom}>
      {(width) => {
        const left = Math.min(widest(intervals.map(({ name }) => name)) + 16, width * 0.35);
        const reached = width - left - 20;
        const scale = linearScale(reach, [0, reached], format, Math.max(2, Math.floor(reached / 90)));
        return (
          <g transform={`translate(${left},0)`}>
            <BottomAxis scale={scale} width={reached} height={inner} name={nameX} />
            {references.map(({ value, name }) => (
              <g key={value} transform={`translate(${scale.at(value)},0)`}>
                <line className="reference" y2={inner} />
                {name && (
                  <text className="reference-name" x={4} y={10}>
                    {name}
                  </text>
                )}
              </g>
            ))}
            {intervals.map(({ name, point, low, high, color }, index) => (
              <g key={name} className={colorClass(color ?? index)} transform={`translate(0,${(index + 0.5) * row})`}>
                <text x={-left} dominantBaseline="central" className="row-name">
                  {fitted(name, left - 10)}
                </text>
                <line className="interval" x1={scale.at(low)} x2={scale.at(high)} />
                <line className="end" x1={scale.at(low)} x2={scale.at(low)} y1={-6} y2={6} />
                <line className="end" x1={scale.at(high)} x2={scale.at(high)} y1={-6} y2={6} />
                <circle className="dot" cx={scale.at(point)} r={5} />
                <text y={-12} x={scale.at(point)} textAnchor="middle" className="value">
                  {format(point)}
                </text>
              </g>
            ))}
          </g>
        );
      }}
    </Canvas>
  );
}
