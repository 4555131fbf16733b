import { render, screen, waitFor } from "@testing-library/react";
import { expect, it } from "vitest";
import { BarChart, HeatMap, IntervalChart, LineChart, StackedArea } from ".";

const percent = (value: number) => `${Math.round(value * 100)}%`;

/** The drawing, once its width is known. */
async function found(name: string): Promise<HTMLElement> {
  const drawing = await screen.findByRole("img", { name });
  await waitFor(() => expect(drawing.childElementCount).toBeGreaterThan(0));
  return drawing;
}

it("draws a line with a gap where there is no value", async () => {
  const points = [0.1, 0.2, null, 0.3, 0.4].map((y, x) => ({ x, y }));
  render(<LineChart label="lines" x="number" formatY={percent} lines={[{ name: "A", points }]} />);
  const path = (await found("lines")).querySelector("path.line")?.getAttribute("d");
  expect(path?.match(/M/g)).toHaveLength(2);
});

it("draws an interval around a line that has one", async () => {
  const points = [0, 1].map((x) => ({ x, y: 0.2, low: 0.1, high: 0.3 }));
  render(<LineChart label="bands" x="number" formatY={percent} lines={[{ name: "A", points }]} />);
  expect((await found("bands")).querySelectorAll("path.band")).toHaveLength(1);
});

it("names lines where there are several", async () => {
  const points = [0, 1].map((x) => ({ x, y: 0.2 }));
  render(<LineChart label="two" x="number" formatY={percent} lines={[{ name: "One", points }, { name: "Other", points }]} />);
  const words = [...(await found("two")).querySelectorAll(".legend text")].map((one) => one.textContent);
  expect(words).toEqual(["One", "Other"]);
});

it("draws bars to scale, negative ones to the left of zero", async () => {
  render(<BarChart label="bars" format={percent} bars={[{ name: "Up", value: 1 }, { name: "Down", value: -0.5 }, { name: "None", value: null }]} />);
  const [up, down, none] = [...(await found("bars")).querySelectorAll("rect")];
  const number = (rect: Element | undefined, name: string) => Number(rect?.getAttribute(name));
  expect(none).toBeUndefined();
  expect(number(down, "width")).toBeCloseTo(number(up, "width") / 2);
  expect(number(down, "x") + number(down, "width")).toBeCloseTo(number(up, "x"));
});

it("leaves a heat map's cell out where there is no value", async () => {
  render(<HeatMap label="heat" rows={["a"]} columns={["x", "y"]} values={[[0.5, null]]} format={percent} />);
  const cells = (await found("heat")).querySelectorAll<SVGRectElement>("rect");
  expect(cells).toHaveLength(1);
  expect(cells[0]?.style.getPropertyValue("--strength")).toBe("100%");
});

it("draws intervals against a reference", async () => {
  render(<IntervalChart label="intervals" format={percent} intervals={[{ name: "B", point: 0.1, low: -0.1, high: 0.3 }]} />);
  const chart = await found("intervals");
  const x = (query: string) => Number(chart.querySelector(query)?.getAttribute("x1"));
  expect(x("line.interval")).toBeLessThan(Number(chart.querySelector("circle")?.getAttribute("cx")));
  expect(chart.querySelectorAll(".reference")).toHaveLength(1);
});

it("stacks shares to a whole", async () => {
  const points = [0, 86_400_000].map((x) => ({ x, shares: [0.25, 0.75] }));
  render(<StackedArea label="shares" names={["A", "B"]} points={points} />);
  expect((await found("shares")).querySelectorAll("path.layer")).toHaveLength(2);
});
