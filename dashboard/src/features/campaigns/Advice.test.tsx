import { screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { renderWithGraph } from "@/testing/graph";
import { Advice } from "./Advice";

const interval = { point: 0.3, low: 0.1, high: 0.5 };

const OFFER = {
  amount: "3.50",
  low: "3.00",
  high: "4.00",
  expectedConversionRate: 0.028,
  expectedProfitPerUser: "0.31",
  evidence: "2,478 sends of 5 amounts.",
  curve: ["3.00", "3.50", "7.00"].map((amount) => ({ amount, conversionRate: interval, profitPerUser: interval })),
};

const NOTHING = {
  currency: "EUR",
  offerAmount: "7.00",
  offerRefusal: null,
  offerRecommendation: null,
  segmentRefusal: null,
  segmentRanking: [],
  sendingEffect: null,
  sendingEffectRefusal: null,
  recommendations: [],
};

const shown = (change: object) =>
  renderWithGraph(<Advice id="a" />, { answers: { CampaignAdvice: { campaign: { ...NOTHING, ...change } } } });

it("draws the curve of amounts and says what it rests on", async () => {
  shown({ offerRecommendation: OFFER });
  expect(await screen.findByRole("img", { name: /best at €3.50/ })).toBeTruthy();
  expect(screen.getByText("2,478 sends of 5 amounts.")).toBeTruthy();
});

it("says in the server's words why there is no amount and no ranking", () => {
  shown({ offerRefusal: "No campaign sent three amounts.", segmentRefusal: "Chance divided too few users." });
  expect(screen.getByText("No campaign sent three amounts.")).toBeTruthy();
  expect(screen.getByText("Chance divided too few users.")).toBeTruthy();
});

it("ranks segments with their intervals", async () => {
  shown({ segmentRanking: [{ segment: "loyal", rank: 1, expectedLift: { point: 0.02, low: 0.01, high: 0.03 }, reasons: [] }] });
  expect(await screen.findByRole("img", { name: "Best is loyal." })).toBeTruthy();
});

it("tells what a recommendation is expected to earn", () => {
  const recommendation = { id: "1", kind: "OFFER_AMOUNT", title: "Offer 3.50", rationale: "Because.", createdAt: "2026-11-24T09:00:00Z" };
  shown({ recommendations: [{ ...recommendation, expectedGain: { point: 100, low: 50, high: 150 } }, { ...recommendation, id: "2", expectedGain: null }] });
  expect(screen.getByText(/€100.00 \(€50.00 to €150.00\)/)).toBeTruthy();
  expect(screen.getAllByText("Offer amount", { selector: ".badge" })).toHaveLength(2);
});

it("tells what sending adds with its interval, or why that is not known", () => {
  const average = { point: 0.0321, low: 0.0105, high: 0.0537 };
  shown({ sendingEffect: { average, toldApart: false, compared: "users of t with those it held out", treated: 9000, control: 1000, reasons: ["All get the average."] } });
  expect(screen.getByText("+3.21 percentage points")).toBeTruthy();
  expect(screen.getByText(/95 % \+1.05 to \+5.37/)).toBeTruthy();
  expect(screen.getByText(/9,000 users sent to, 1,000 left out/)).toBeTruthy();
  shown({ sendingEffectRefusal: "Chance left nobody out." });
  expect(screen.getByText("Chance left nobody out.")).toBeTruthy();
});
