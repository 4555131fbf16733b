// PostGraphile 5 as in production: no explain, no GraphiQL, lists rather than connections.
// Without pgSettings it needs no transaction, and it keeps its statements prepared; answers made as text
// (outputDataAsString) were no cheaper.
import { createServer } from 'node:http';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/node';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';

const [address, poolSize] = process.argv.slice(2);

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({ connectionString: address, schemas: ['public', 'peer'], poolConfig: { max: Number(poolSize) } }),
  ],
  schema: { defaultBehavior: 'list -connection -insert -update -delete' },
  gather: { installWatchFixtures: false },
  grafast: { explain: false },
  grafserv: { graphiql: false, watch: false, websockets: false, maxRequestLength: 1_000_000 },
};

const instance = postgraphile(preset);
const serv = instance.createServ(grafserv);
const server = createServer();
await serv.addTo(server);
if (process.env.PRINT_SCHEMA) {
  const { printSchema } = await import('graphql');
  console.error(printSchema(await instance.getSchema()));
}
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
