import { useEffect, useRef, useState, type PointerEvent, type ReactNode, type RefObject } from "react";

export const HEIGHT = 260;

export interface Hint {
  x: number;
  y: number;
  title: string;
  lines: { name: string; value: string; color?: number }[];
}

interface CanvasProps {
  label: string;
  height: number;
  hint?: Hint | null;
  onPoint?: (x: number, y: number, width: number) => void;
  onLeave?: () => void;
  children: (width: number) => ReactNode;
}

/** An SVG as wide as its place, with a hint that follows the pointer. */
export function Canvas({ label, height, hint, onPoint, onLeave, children }: CanvasProps) {
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place);
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onPoint?.(event.clientX - box.left, event.clientY - box.top, width);
  };
  return (
    <div className="chart" ref={place}>
      <svg
        data-chart
        role="img"
        aria-label={label}
        width={width}
        height={height}
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={onLeave}
      >
        {width > 0 && children(width)}
      </svg>
      {hint && <HintBox hint={hint} width={width} />}
    </div>
  );
}

function HintBox({ hint, width }: { hint: Hint; width: number }) {
  const across = hint.x > width / 2 ? { right: width - hint.x + 12 } : { left: hint.x + 12 };
  return (
    <div className="hint" style={{ ...across, top: Math.max(0, hint.y - 12) }} aria-hidden="true">
      <strong>{hint.title}</strong>
      {hint.lines.map((line) => (
        <div key={line.name}>
          {line.color !== undefined && <span className={`swatch color-${line.color}`} />}
          <span>{line.name}</span> <b>{line.value}</b>
        </div>
      ))}
    </div>
  );
}

function useWidth(place: RefObject<HTMLDivElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const measure = () => setWidth(Math.floor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [place]);
  return width;
}
