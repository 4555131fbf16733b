import { Area, LinePath } from "@visx/shape";
import { useState } from "react";
import type { Line, LineChartProps, Point } from "../types";
import { BottomAxis, LeftAxis } from "./Axes";
import { Canvas, HEIGHT, type Hint } from "./Canvas";
import { Legend, placeLegend } from "./Legend";
import { extent, formatUtc, linearScale, timeScale, type AxisScale } from "./scales";
import { colorClass, widest } from "./text";

const TOP = 12;
const RIGHT = 26;

interface Plan {
  x: AxisScale;
  y: AxisScale;
  left: number;
  top: number;
  width: number;
  height: number;
}

export default function LineChart(props: LineChartProps) {
  const { label, lines, height = HEIGHT } = props;
  const [pointed, setPointed] = useState<{ x: number; y: number; width: number } | null>(null);
  const hint = pointed && hintAt(props, planOf(props, pointed.width), pointed.x, pointed.y);
  return (
    <Canvas
      label={label}
      height={height}
      hint={hint}
      onPoint={(x, y, width) => setPointed({ x, y, width })}
      onLeave={() => setPointed(null)}
    >
      {(width) => {
        const plan = planOf(props, width);
        const { placed } = placeLegend(legendOf(lines), width);
        return (
          <>
            <Legend placed={placed} />
            <g transform={`translate(${plan.left},${plan.top})`}>
              <LeftAxis scale={plan.y} width={plan.width} height={plan.height} name={props.nameY} />
              <BottomAxis scale={plan.x} width={plan.width} height={plan.height} name={props.nameX} />
              <References {...props} plan={plan} />
              {lines.map((line, index) => (
                <Drawn key={line.name} line={line} color={line.color ?? index} plan={plan} curve={props.curve} />
              ))}
              {hint && <line className="cursor" x1={hint.x - plan.left} x2={hint.x - plan.left} y2={plan.height} />}
            </g>
          </>
        );
      }}
    </Canvas>
  );
}

const legendOf = (lines: readonly Line[]) =>
  lines.length < 2
    ? []
    : lines.map(({ name, color, dashed }, index) => ({ name, color: color ?? index, dashed: dashed ?? false }));

function planOf({ lines, x = "time", formatX, formatY, fromZero = true, references = [], marks = [], height = HEIGHT, nameX, nameY }: LineChartProps, full: number): Plan {
  const points = lines.flatMap((line) => line.points);
  const heights = points.flatMap(({ y, low, high }) => [y, low, high]).filter((value) => typeof value === "number");
  const top = TOP + placeLegend(legendOf(lines), full).height + (nameY ? 14 : 0);
  const inner = Math.max(40, height - top - (nameX ? 44 : 28));
  const domain = extent(heights, [...(fromZero ? [0] : []), ...references.map(({ value }) => value)]);
  const y = linearScale(domain, [inner, 0], formatY, Math.max(2, Math.floor(inner / 48)));
  const left = Math.max(28, widest(y.ticks.map(formatY)) + 12);
  const width = Math.max(40, full - left - RIGHT);
  const across = extent(points.map((point) => point.x), marks.map(({ value }) => value));
  const counted = formatX ?? String;
  return {
    x: x === "time" ? timeScale(across, [0, width]) : bare(across, width, counted),
    y,
    left,
    top,
    width,
    height: inner,
  };
}

/** A number's axis that ends where the lines do. */
function bare(domain: [number, number], width: number, format: (value: number) => string): AxisScale {
  const scale = linearScale(domain, [0, width], format, Math.max(2, Math.floor(width / 90)));
  const at = (value: number) => ((value - domain[0]) / (domain[1] - domain[0])) * width;
  return { ...scale, at, ticks: scale.ticks.filter((tick) => tick >= domain[0] && tick <= domain[1]) };
}

interface DrawnProps {
  line: Line;
  color: number;
  plan: Plan;
  curve: "straight" | "step" | undefined;
}

function Drawn({ line, color, plan: { x, y }, curve }: DrawnProps) {
  const points = curve === "step" ? stepped(line.points) : line.points;
  const across = (point: Point) => x.at(point.x);
  const banded = (point: Point) => typeof point.low === "number" && typeof point.high === "number";
  const alone = line.points.filter((point) => point.y !== null).length === 1;
  return (
    <g className={colorClass(color)}>
      {points.some(banded) && (
        <Area data={[...points]} x={across} y0={({ low }) => y.at(low ?? 0)} y1={({ high }) => y.at(high ?? 0)} defined={banded} className="band" />
      )}
      {line.filled && (
        <Area data={[...points]} x={across} y0={y.at(0)} y1={(point) => y.at(point.y ?? 0)} defined={(point) => point.y !== null} className="band" />
      )}
      <LinePath
        data={[...points]}
        x={across}
        y={(point) => y.at(point.y ?? 0)}
        defined={(point) => point.y !== null}
        className="line"
        strokeDasharray={line.dashed ? "5 4" : undefined}
      />
      {alone && line.points.map((point) => point.y !== null && <circle key={point.x} className="dot" cx={across(point)} cy={y.at(point.y)} r={4} />)}
    </g>
  );
}

/** Each value held until the next one. */
function stepped(points: readonly Point[]): Point[] {
  return points.flatMap((point, index) => {
    const next = points[index + 1];
    return next ? [point, { ...point, x: next.x }] : [point];
  });
}

function References({ references = [], marks = [], plan }: LineChartProps & { plan: Plan }) {
  return (
    <g>
      {references.map(({ value, name }) => (
        <g key={`y${value}`} transform={`translate(0,${plan.y.at(value)})`}>
          <line className="reference" x2={plan.width} />
          {name && (
            <text className="reference-name" x={plan.width} y={-5} textAnchor="end">
              {name}
            </text>
          )}
        </g>
      ))}
      {marks.map(({ value, name }) => (
        <g key={`x${value}`} transform={`translate(${plan.x.at(value)},0)`}>
          <line className="reference" y2={plan.height} />
          {name && (
            <text className="reference-name" x={4} y={10}>
              {name}
            </text>
          )}
        </g>
      ))}
    </g>
  );
}

function hintAt({ lines, x = "time", formatX, formatY, formatHint = formatY }: LineChartProps, plan: Plan, left: number, top: number): Hint | null {
  const places = lines.flatMap((line) => line.points.map((point) => point.x));
  if (places.length === 0) return null;
  const away = (place: number) => Math.abs(plan.x.at(place) + plan.left - left);
  const nearest = places.reduce((best, place) => (away(place) < away(best) ? place : best));
  const shown = lines.flatMap((line, index) => {
    const point = line.points.find((one) => one.x === nearest);
    if (typeof point?.y !== "number") return [];
    const around = typeof point.low === "number" && typeof point.high === "number" ? ` (${formatHint(point.low)} – ${formatHint(point.high)})` : "";
    return [{ name: line.name, value: formatHint(point.y) + around, color: (line.color ?? index) % 6 }];
  });
  const title = (formatX ?? (x === "time" ? formatUtc : String))(nearest);
  return { x: plan.x.at(nearest) + plan.left, y: top, title, lines: shown };
}
