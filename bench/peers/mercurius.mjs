// Mercurius with its JIT from the first repetition on, and either its own loaders, which ask once for all objects of a
// level, or ("tree") one resolver a root field that reads the whole tree in as many statements, so that all below is plain.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { openStore, typeDefs } from './store.mjs';

const [address, poolSize, kind] = process.argv.slice(2);
const { ask, lists, ones } = openStore(address, poolSize);

const of = (queries) => queries.map(({ obj }) => obj.id);
const uncached = (loader) => ({ loader, opts: { cache: false } });

const byLoaders = {
  resolvers: {
    Query: {
      campaigns: (_, { first }) => ask('campaigns', first),
      campaign: async (_, { id }) => (await ask('campaign', id))[0],
    },
  },
  loaders: {
    Campaign: {
      merchant: uncached((queries) => ones('merchants', queries.map(({ obj }) => obj.merchantId), 'id')),
      metrics: uncached((queries) => ones('metrics', of(queries))),
      trend: uncached((queries) => lists('trends', of(queries))),
      tests: uncached((queries) => lists('tests', of(queries))),
    },
    Test: {
      metric: uncached((queries) => ones('kinds', of(queries))),
      variants: uncached((queries) => lists('variants', of(queries))),
      totals: uncached((queries) => lists('totals', of(queries))),
    },
  },
};

async function addTests(campaigns, { whole }) {
  const found = await lists('tests', campaigns.map(({ id }) => id));
  campaigns.forEach((campaign, index) => (campaign.tests = found[index]));
  const tests = found.flat();
  const ids = tests.map(({ id }) => id);
  const [variants, totals, kinds] = await Promise.all([
    lists('variants', ids),
    lists('totals', ids),
    whole ? ones('kinds', ids) : null,
  ]);
  tests.forEach((test, index) => {
    test.variants = variants[index];
    test.totals = totals[index];
    if (whole) test.metric = kinds[index];
  });
}

const byTree = {
  resolvers: {
    Query: {
      async campaigns(_, { first }) {
        const campaigns = await ask('campaigns', first);
        await addTests(campaigns, { whole: false });
        return campaigns;
      },
      async campaign(_, { id }) {
        const [campaign] = await ask('campaign', id);
        const [[merchant], [metrics], [trend]] = await Promise.all([
          ask('merchants', [campaign.merchantId]),
          ask('metrics', [id]),
          lists('trends', [id]),
          addTests([campaign], { whole: true }),
        ]);
        return Object.assign(campaign, { merchant, metrics, trend });
      },
    },
  },
};

const app = Fastify({ logger: false });
app.register(mercurius, { schema: typeDefs, jit: 1, graphiql: false, ...(kind === 'tree' ? byTree : byLoaders) });
await app.listen({ port: 0, host: '127.0.0.1' });
console.log(app.server.address().port);
