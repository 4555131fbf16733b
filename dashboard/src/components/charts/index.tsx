import { lazy, Suspense, useEffect, useRef, useState, type ComponentType, type ReactNode } from "react";
import { patiently } from "../loading";
import { Skeleton } from "../states";
import type * as charts from "./types";

export type * from "./types";

const HEIGHT = 260;

/** Loads a drawing's code when it is first scrolled into sight. */
function whenSeen<Props extends charts.Drawn>(load: () => Promise<{ default: ComponentType<Props> }>) {
  const Drawing = lazy(patiently(load)) as unknown as ComponentType<Props>;
  return function Chart(props: Props) {
    const waiting = <Skeleton height={props.height ?? HEIGHT} label="Drawing" />;
    return (
      <Seen waiting={waiting}>
        <Suspense fallback={waiting}>
          <Drawing {...props} />
        </Suspense>
      </Seen>
    );
  };
}

function Seen({ waiting, children }: { waiting: ReactNode; children: ReactNode }) {
  const place = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!place.current || seen) return;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true), {
      rootMargin: "200px",
    });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [seen]);
  return <div ref={place}>{seen ? children : waiting}</div>;
}

/** Lines over time or over a number, each with an interval around it where it has one. */
export const LineChart = whenSeen<charts.LineChartProps>(() => import("./drawn/LineChart"));
/** Horizontal bars, each named, with an interval where it has one. */
export const BarChart = whenSeen<charts.BarChartProps>(() => import("./drawn/BarChart"));
/** A grid of values by strength of colour, with the figures in it where they fit. */
export const HeatMap = whenSeen<charts.HeatMapProps>(() => import("./drawn/HeatMap"));
/** Estimates with their intervals, one below the other. */
export const IntervalChart = whenSeen<charts.IntervalChartProps>(() => import("./drawn/IntervalChart"));
/** Shares of a whole over time, each holding until the next. */
export const StackedArea = whenSeen<charts.StackedAreaProps>(() => import("./drawn/StackedArea"));
