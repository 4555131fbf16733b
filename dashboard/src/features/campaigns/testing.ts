/** Figures as the graph answers them, for tests. */
export const figures = (change: object = {}) => ({
  sent: 1000,
  delivered: 900,
  opened: 300,
  clicked: 100,
  activated: 60,
  converted: 45,
  revenue: "1800.00",
  cost: "450.00",
  deliveryRate: 0.9,
  openRate: 0.3333,
  clickThroughRate: 0.3333,
  conversionRate: 0.05,
  averageOrderValue: "40.00",
  costPerConversion: "10.00",
  roi: 3,
  ...change,
});

export const nothing = figures({
  ...Object.fromEntries(["sent", "delivered", "opened", "clicked", "activated", "converted"].map((name) => [name, 0])),
  ...Object.fromEntries(
    ["deliveryRate", "openRate", "clickThroughRate", "conversionRate", "averageOrderValue", "costPerConversion", "roi"].map((name) => [name, null]),
  ),
  revenue: "0.00",
  cost: "0.00",
});
