import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { Refusal, renderWithGraph, WAITING, type Answers } from "@/testing/graph";
import Campaigns from ".";
import { figures } from "./testing";

const campaign = (key: string, name: string) => ({
  key,
  name,
  status: "ACTIVE",
  channels: ["PUSH"],
  offerAmount: "2.50",
  currency: "USD",
  startsAt: null,
  endsAt: null,
  merchant: { key: "m", name: "Corner Grocer" },
  metrics: figures(),
});

const trend = [1, 2, 3].map((day) => ({ startsAt: `2026-11-0${day}T00:00:00Z`, metrics: figures({ conversionRate: day / 100 }) }));

const ANSWERS: Answers = {
  CampaignsPortfolio: { portfolio: { campaigns: 40, active: 15, metrics: figures(), byCurrency: [{ currency: "USD", campaigns: 40, metrics: figures() }] } },
  CampaignsPortfolioTrend: { portfolio: { trend } },
  CampaignsBreakdown: { portfolio: { byChannel: [{ segment: "IN_APP", metrics: figures() }], byMerchant: [] } },
  CampaignsRanking: { topCampaigns: [{ rank: 1, value: 3.5, campaign: campaign("weekend", "Weekend") }] },
  CampaignsCurrencies: { campaigns: { nodes: [{ currency: "USD" }] } },
  CampaignsList: {
    campaigns: {
      totalCount: 21,
      pageInfo: { hasNextPage: true, hasPreviousPage: false, endCursor: "cursor-20" },
      nodes: [campaign("weekend", "Weekend")],
    },
  },
};

const shown = (path = "/campaigns", answers: Answers = {}) => renderWithGraph(<Campaigns />, { path, answers: { ...ANSWERS, ...answers } });
const lastOf = (asked: ReturnType<typeof shown>["asked"], name: string) => asked.filter((one) => one.name === name).at(-1)?.variables;

it("asks for what the address says", () => {
  const { asked } = shown("/campaigns?window=all&interval=WEEK&by=REVENUE&status=PAUSED&status=ENDED&search=vip&order=ROI");
  expect(lastOf(asked, "CampaignsPortfolio")).toEqual({ window: {} });
  expect(lastOf(asked, "CampaignsPortfolioTrend")).toEqual({ window: {}, interval: "WEEK" });
  expect(lastOf(asked, "CampaignsRanking")).toMatchObject({ by: "REVENUE" });
  expect(lastOf(asked, "CampaignsList")).toMatchObject({ orderBy: "ROI", filter: { status: ["PAUSED", "ENDED"], search: "vip" } });
});

it("keeps what is chosen in the address, and asks for it", async () => {
  const { asked } = shown();
  await userEvent.click(screen.getByLabelText("Hour"));
  await userEvent.selectOptions(screen.getByLabelText("Window"), "7 days");
  await userEvent.click(screen.getByLabelText("Paused"));
  expect(location.search).toBe("?interval=HOUR&window=7d&status=PAUSED");
  expect(lastOf(asked, "CampaignsPortfolioTrend")).toMatchObject({ interval: "HOUR" });
});

it("searches once its writer pauses", async () => {
  const { asked } = shown();
  fireEvent.change(screen.getByRole("searchbox"), { target: { value: "grocer" } });
  await waitFor(() => expect(lastOf(asked, "CampaignsList")).toMatchObject({ filter: { search: "grocer" } }));
  expect(location.search).toBe("?search=grocer");
});

it("goes on to the next page and back to the first", async () => {
  const { asked } = shown();
  await userEvent.click(screen.getByRole("button", { name: "Next page" }));
  expect(lastOf(asked, "CampaignsList")).toMatchObject({ after: "cursor-20" });
  await userEvent.click(screen.getByRole("button", { name: "First page" }));
  expect(lastOf(asked, "CampaignsList")).toMatchObject({ after: null });
});

it("draws the trend, and shows it as a table when asked", async () => {
  shown();
  const figure = within(screen.getByRole("region", { name: "Conversion rate by day" }));
  expect(await figure.findByRole("img", { name: /last 3.00%/ })).toBeTruthy();
  await userEvent.click(figure.getByRole("button", { name: "Table" }));
  expect(figure.getAllByRole("rowheader")).toHaveLength(3);
});

it("says where there is nothing to show", () => {
  shown("/campaigns", { CampaignsRanking: { topCampaigns: [] }, CampaignsPortfolio: WAITING });
  expect(screen.getByText("No campaign to rank")).toBeTruthy();
  expect(screen.getByText("No merchant had events in this window")).toBeTruthy();
});

it("says that a key may not see it", () => {
  shown("/campaigns", { CampaignsPortfolio: new Refusal("NOT_ALLOWED", "This key may not.") });
  expect(screen.getAllByText("This key may not see this").length).toBeGreaterThan(0);
});

it("shows money by currency where campaigns count in several", async () => {
  const byCurrency = ["USD", "JPY"].map((currency) => ({ currency, campaigns: 20, metrics: figures() }));
  shown("/campaigns", { CampaignsPortfolio: { portfolio: { campaigns: 40, active: 15, metrics: figures(), byCurrency } } });
  expect(await screen.findByText("Campaigns count in several currencies")).toBeTruthy();
  expect(screen.getByText("JPY: 20 campaigns")).toBeTruthy();
});
