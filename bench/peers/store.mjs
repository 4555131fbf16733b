// The schema of the servers written by hand, and its set-based SQL on node-postgres: prepared statements, and no dates or
// big integers made of what goes out as text and numbers anyway.
import pg from 'pg';

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text);

export const typeDefs = `
  scalar JSON
  type Query { campaigns(first: Int!): [Campaign!]! campaign(id: Int!): Campaign }
  type Campaign {
    id: Int! key: String! name: String! status: String! offerAmount: String! currency: String! budget: String
    startsAt: String merchant: Merchant! metrics: Metrics! trend: [TrendPoint!]! tests: [Test!]!
  }
  type Merchant { id: Int! key: String! name: String! category: String! }
  type Metrics {
    sent: Int! delivered: Int! opened: Int! clicked: Int! converted: Int! revenue: String! cost: String!
    conversionRate: Float roi: Float
  }
  type TrendPoint {
    startsAt: String! sent: Int! delivered: Int! opened: Int! clicked: Int! converted: Int! revenue: String!
    cost: String! conversionRate: Float roi: Float
  }
  type Test {
    id: Int! key: String! name: String! status: String! confidenceLevel: Float! allocationPolicy: String!
    coverage: Float! startedAt: String metric: Metric! variants: [Variant!]! totals: [Totals!]!
  }
  type Metric { key: String! name: String! kind: String! }
  type Variant { id: Int! key: String! name: String! isControl: Boolean! weight: Float! payload: JSON }
  type Totals {
    variantId: Int! exposed: Int! converted: Int! multipleExposed: Int! mean: Float standardDeviation: Float
  }
`;

const CAMPAIGN = `id, key, name, status, offer_amount AS "offerAmount", currency, budget, starts_at AS "startsAt",
  merchant_id AS "merchantId"`;
const MEASURES = `sent, delivered, opened, clicked, converted, revenue, cost, conversion_rate AS "conversionRate", roi`;
const STATEMENTS = {
  campaigns: `SELECT ${CAMPAIGN} FROM campaign ORDER BY id DESC LIMIT $1`,
  campaign: `SELECT ${CAMPAIGN} FROM campaign WHERE id = $1`,
  merchants: `SELECT id, key, name, category FROM merchant WHERE id = ANY($1)`,
  metrics: `SELECT campaign_id AS "of", ${MEASURES} FROM peer.campaign_metrics WHERE campaign_id = ANY($1)`,
  trends: `SELECT campaign_id AS "of", starts_at AS "startsAt", ${MEASURES} FROM peer.campaign_trend
    WHERE campaign_id = ANY($1) ORDER BY campaign_id, starts_at`,
  tests: `SELECT campaign_id AS "of", id, key, name, status, confidence_level AS "confidenceLevel",
    allocation_policy AS "allocationPolicy", coverage, started_at AS "startedAt"
    FROM ab_test WHERE campaign_id = ANY($1) ORDER BY id DESC`,
  kinds: `SELECT test_id AS "of", key, name, kind FROM ab_test_metric WHERE test_id = ANY($1) AND position = 0`,
  variants: `SELECT test_id AS "of", id, key, name, is_control AS "isControl", weight, payload
    FROM ab_test_variant WHERE test_id = ANY($1) ORDER BY test_id, position`,
  totals: `SELECT test_id AS "of", variant_id AS "variantId", exposed, converted, multiple_exposed AS "multipleExposed",
    mean, standard_deviation AS "standardDeviation" FROM peer.variant_total WHERE test_id = ANY($1)`,
};

export function openStore(address, poolSize) {
  const pool = new pg.Pool({ connectionString: address, max: Number(poolSize) });
  const ask = async (name, value) => (await pool.query({ name, text: STATEMENTS[name], values: [value] })).rows;

  // The rows of each owner, in the owners' order.
  async function lists(name, owners) {
    const byOwner = new Map(owners.map((owner) => [owner, []]));
    for (const row of await ask(name, owners)) byOwner.get(row.of).push(row);
    return owners.map((owner) => byOwner.get(owner));
  }

  async function ones(name, owners, key = 'of') {
    const byOwner = new Map();
    for (const row of await ask(name, owners)) byOwner.set(row[key], row);
    return owners.map((owner) => byOwner.get(owner));
  }

  return { ask, lists, ones };
}
