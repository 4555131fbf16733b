// The official OpenFeature clients against a running Winnow: node openfeature.mjs URL KEY; prints what they saw as JSON.
import { OpenFeature as Server } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature as Web } from '@openfeature/web-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const [url, key, wrongKey] = process.argv.slice(2);
const headers = [['Authorization', `Bearer ${key}`]];
const seen = {};

async function details(client, context) {
  const asked = context === undefined ? [] : [context];
  return {
    object: await client.getObjectDetails('of-object', {}, ...asked),
    boolean: await client.getBooleanDetails('of-boolean', true, ...asked),
    text: await client.getStringDetails('of-text', 'default', ...asked),
    integer: await client.getNumberDetails('of-integer', -1, ...asked),
    number: await client.getNumberDetails('of-number', -1, ...asked),
    none: await client.getStringDetails('of-none', 'default', ...asked),
    missing: await client.getStringDetails('nowhere', 'default', ...asked),
    mismatch: await client.getNumberDetails('of-text', 7, ...asked),
  };
}

await Server.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers }));
seen.server = await details(Server.getClient(), { targetingKey: 'Zoë', plan: 'prö', age: 30 });
seen.serverWithoutContext = await Server.getClient().getStringDetails('of-none', 'default');
await Server.setProviderAndWait('wrong', new OFREPProvider({ baseUrl: url, headers: [['X-API-Key', wrongKey]] }));
seen.serverWrongKey = await Server.getClient('wrong').getStringDetails('of-none', 'default', { targetingKey: 'a' });

// The web client fetches all flags once for a context, and again, with its ETag, when the context changes.
const answers = [];
const watched = async (input, init) => {
  const response = await fetch(input, init);
  answers.push([response.status, new Headers(init?.headers ?? input.headers).has('if-none-match')]);
  return response;
};
await Web.setContext({ targetingKey: 'Zoë', plan: 'prö' });
const options = { baseUrl: url, headers, fetchImplementation: watched, pollInterval: -1, changeDetection: 'none' };
await Web.setProviderAndWait(new OFREPWebProvider(options));
const web = Web.getClient();
seen.web = await details(web);
seen.webTargeted = web.getStringDetails('of-plans', 'default');
await Web.setContext({ targetingKey: 'Zoë', plan: 'free' });
seen.webOtherPlan = web.getStringDetails('of-plans', 'default');
await Web.setContext({ targetingKey: 'Zoë', plan: 'free' });
seen.webSamePlan = web.getStringDetails('of-plans', 'default');
await Web.setContext({ targetingKey: 'Zoë', plan: 'prö' });
seen.webBack = web.getStringDetails('of-plans', 'default');
seen.webAnswers = answers;

await Server.close();
await Web.close();
console.log(JSON.stringify(seen));
