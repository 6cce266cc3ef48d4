// Prints the samples of every operation of the reference: name, whether it can be executed, text.
import { readFile } from 'node:fs/promises';

const [project, base, token] = process.argv.slice(2);
const portal = `${project}/infra/portal/pages/docs`;
const { exampleOf, readDescription } = await import(`${portal}/description.js`);
const { samples } = await import(`${portal}/samples.js`);

/** Operations whose samples are executed: they succeed with the demo's data, whatever ran before. */
const EXECUTED = ['getHealth', 'getMe', 'listProspects', 'listTags', 'listProviders', 'getProvider', 'listSlots', 'findNextSlot', 'listVisitTypes', 'listTickets', 'listProducts', 'listArticles', 'createProspect', 'createTicket'];

const description = JSON.parse(await readFile(`${project}/infra/openapi.json`, 'utf8'));
const operations = readDescription(description).flatMap((section) => section.operations);
const missing = EXECUTED.filter((id) => !operations.some((it) => it.id === id));
if (missing.length) throw new Error(`no such operation: ${missing}`);

const all = operations.flatMap((operation) => {
  const path = operation.path.replace('{PPass}', 'DemoOffice').replace(/\{(\w+)\}/g, '1');
  const required = operation.parameters.filter((it) => it.in === 'query' && it.required);
  const query = operation.entry?.request?.split('?')[1] ?? required.map((it) => `${it.name}=${encodeURIComponent(it.example ?? '')}`).join('&');
  const own = operation.entry?.examples?.find((it) => /Body|Request/.test(it.title));
  const body = operation.body && JSON.stringify(own ? own.example : exampleOf(description, operation.body), null, 2);
  const headers = { ...(operation.access === 'partner' && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }) };
  const call = { method: operation.method, url: `${base}${path}${query ? `?${query}` : ''}`, headers, body: body ?? null };
  return samples(call).map(([, text, language]) => ({ id: operation.id, language, text, executed: EXECUTED.includes(operation.id) }));
});
console.log(JSON.stringify(all));
