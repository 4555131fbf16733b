import { useState, type CSSProperties } from "react";
import type { HeatMapProps } from "../types";
import { Canvas, type Hint } from "./Canvas";
import { fitted, widest, widthOf } from "./text";

const ROW = 30;
const GAP = 2;

export default function HeatMap({ label, rows, columns, values, format, strongest, nameX, nameY, height }: HeatMapProps) {
  const [hint, setHint] = useState<Hint | null>(null);
  const top = nameX ? 40 : 24;
  const most = strongest ?? values.flat().reduce<number>((greatest, value) => Math.max(greatest, value ?? 0), 0);
  const row = height ? (height - top) / rows.length : ROW;
  return (
    <Canvas label={label} height={top + rows.length * row} hint={hint} onLeave={() => setHint(null)}>
      {(width) => {
        const left = Math.min(widest([...rows, nameY ?? ""]) + 12, width * 0.35);
        const cell = (width - left) / Math.max(1, columns.length);
        const every = Math.max(1, Math.ceil((widest(columns) + 4) / cell));
        return (
          <>
            {nameX && (
              <text className="axis-name" x={width} y={12} textAnchor="end">
                {nameX}
              </text>
            )}
            {nameY && (
              <text className="axis-name" y={top - 10}>
                {fitted(nameY, left)}
              </text>
            )}
            {columns.map((name, column) =>
              column % every === 0 ? (
                <text key={name} x={left + (column + 0.5) * cell} y={top - 10} textAnchor="middle">
                  {name}
                </text>
              ) : null,
            )}
            {rows.map((name, index) => (
              <g key={name} transform={`translate(0,${top + index * row})`}>
                <text y={row / 2} dominantBaseline="central">
                  {fitted(name, left - 8)}
                </text>
                {columns.map((column, place) => {
                  const value = values[index]?.[place] ?? null;
                  if (value === null) return null;
                  const words = format(value);
                  return (
                    <g
                      key={column}
                      transform={`translate(${left + place * cell},0)`}
                      onPointerEnter={() =>
                        setHint({ x: left + (place + 0.5) * cell, y: top + index * row, title: `${name}, ${column}`, lines: [{ name: "", value: words }] })
                      }
                    >
                      <rect className="cell" width={cell - GAP} height={row - GAP} rx={3} style={{ "--strength": `${strengthOf(value, most)}%` } as CSSProperties} />
                      {widthOf(words) < cell - 4 && (
                        <text className="cell-value" x={(cell - GAP) / 2} y={(row - GAP) / 2} textAnchor="middle" dominantBaseline="central">
                          {words}
                        </text>
                      )}
                    </g>
                  );
                })}
              </g>
            ))}
          </>
        );
      }}
    </Canvas>
  );
}

const strengthOf = (value: number, most: number) => (most > 0 ? Math.round(Math.min(1, Math.max(0, value / most)) * 100) : 0);
