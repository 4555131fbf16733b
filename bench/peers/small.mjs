// Apollo Server and GraphQL Yoga, for the smallest of operations alone: the same schema, as each one's own guide starts it.
import { createServer } from 'node:http';
import { openStore, typeDefs } from './store.mjs';

const [address, poolSize, kind] = process.argv.slice(2);
const { ask } = openStore(address, poolSize);
const resolvers = { Query: { campaigns: (_, { first }) => ask('campaigns', first) } };

if (kind === 'apollo') {
  const { ApolloServer } = await import('@apollo/server');
  const { startStandaloneServer } = await import('@apollo/server/standalone');
  const server = new ApolloServer({ typeDefs, resolvers, introspection: false, includeStacktraceInErrorResponses: false });
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
  console.log(new URL(url).port);
} else {
  const { createSchema, createYoga } = await import('graphql-yoga');
  const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false, graphiql: false });
  const server = createServer(yoga);
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
}
