import type { AxisScale } from "./scales";

interface AxisProps {
  scale: AxisScale;
  width: number;
  height: number;
  name?: string | undefined;
}

/** Horizontal grid lines with their values at the left of them. */
export function LeftAxis({ scale, width, name }: AxisProps) {
  return (
    <g className="axis">
      {scale.ticks.map((tick) => (
        <g key={tick} transform={`translate(0,${scale.at(tick)})`}>
          <line x2={width} className={tick === 0 ? "zero" : "grid"} />
          <text x={-8} textAnchor="end" dominantBaseline="central">
            {scale.format(tick)}
          </text>
        </g>
      ))}
      {name && (
        <text className="axis-name" x={-8} y={-12} textAnchor="end">
          {name}
        </text>
      )}
    </g>
  );
}

/** Values below the drawing. */
export function BottomAxis({ scale, width, height, name }: AxisProps) {
  return (
    <g className="axis" transform={`translate(0,${height})`}>
      <line x2={width} className="zero" />
      {scale.ticks.map((tick) => (
        <g key={tick} transform={`translate(${scale.at(tick)},0)`}>
          <line y2={4} className="zero" />
          <text y={18} textAnchor="middle">
            {scale.format(tick)}
          </text>
        </g>
      ))}
      {name && (
        <text className="axis-name" x={width} y={36} textAnchor="end">
          {name}
        </text>
      )}
    </g>
  );
}
