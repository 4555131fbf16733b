import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import { SevenMetrics } from "./SevenMetrics";
import { figures, nothing } from "./testing";

const stat = (name: string) => {
  const term = screen.getByText(name);
  if (!term.parentElement) throw new Error(name);
  return within(term.parentElement);
};

it("shows all seven, with units", () => {
  render(<SevenMetrics figures={figures()} before={null} currency="EUR" />);
  expect(screen.getAllByRole("term")).toHaveLength(7);
  expect(stat("Conversion rate").getByText("5.00%")).toBeTruthy();
  expect(stat("Average order value").getByText("€40.00")).toBeTruthy();
  expect(screen.queryByText(/window before/)).toBeNull();
});

it("tells a change by its sign and whether it is good", () => {
  render(<SevenMetrics figures={figures()} before={figures({ conversionRate: 0.04, costPerConversion: "8.00" })} currency="USD" />);
  expect(stat("Conversion rate").getByText("+25%").className).toContain("good");
  expect(stat("Cost per conversion").getByText("+25%").className).toContain("bad");
});

it("shows no figure and no change where there is nothing to divide by", () => {
  render(<SevenMetrics figures={nothing} before={nothing} currency="USD" />);
  expect(stat("Open rate").getByText("–")).toBeTruthy();
  expect(screen.getAllByText("no comparison")).toHaveLength(7);
});
