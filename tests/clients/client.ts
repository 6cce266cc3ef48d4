// A partner's main job, with the types that openapi-typescript generates and with openapi-fetch.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import createClient, { type Client } from 'openapi-fetch';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import type { components, paths } from './api.js';

type Problem = components['schemas']['Problem'];
type Payload = components['schemas']['Payload'];
type Received = { headers: IncomingHttpHeaders; body: string };

function setting(name: string): string {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
}

const baseUrl = setting('API_URL');
const path = { PPass: setting('PRACTICE') };

/** Returns the body of a success with this status. */
function succeeded<T>(answer: { data?: T; error?: Problem; response: Response }, status: number): T {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert(answer.data !== undefined);
  return answer.data;
}

/** Returns the problem of a failure with this status and code. */
function failed(answer: { data?: unknown; error?: Problem; response: Response }, status: number, code: string): Problem {
  assert.equal(answer.response.status, status, JSON.stringify(answer.data));
  assert.equal(answer.error?.code, code);
  return answer.error;
}

const once = () => ({ 'Idempotency-Key': randomUUID() });

async function signedIn(apiKey: string): Promise<Client<paths>> {
  const client = createClient<paths>({ baseUrl });
  const token = succeeded(await client.POST('/v1/{PPass}/auth/token', { params: { path }, body: { apiKey } }), 200);
  assert.equal(token.expiresIn, '24h');
  const left = Date.parse(token.expiresAt) - Date.now();
  assert(left > 23 * 3_600_000 && left <= 24 * 3_600_000, token.expiresAt);
  return createClient<paths>({ baseUrl, headers: { Authorization: `${token.tokenType} ${token.accessToken}` } });
}

async function prospectWithTag(client: Client<paths>): Promise<number> {
  const person = { FirstName: 'Tess', LastName: `Client${Date.now()}`, EMail: 'tess@example.com', Phone: '212-555-0170' };
  const headers = once();
  const create = () => client.POST('/v1/{PPass}/prospects', { params: { path, header: headers }, body: person });
  const id = succeeded(await create(), 201).data.PatientID;
  const again = await create();
  assert.equal(succeeded(again, 201).data.PatientID, id, 'a retry with the same key creates nothing');
  assert.equal(again.response.headers.get('Idempotent-Replayed'), 'true');

  const found = succeeded(await client.GET('/v1/{PPass}/prospects', { params: { path, query: { search: person.LastName } } }), 200);
  assert.deepEqual(found.data.map((it) => it.PatientID), [id]);
  assert.equal(found.pagination.total, 1);

  const wrong = await client.POST('/v1/{PPass}/prospects', { params: { path }, body: { ...person, EMail: 'nonsense', Zip: '!' } });
  const fields = failed(wrong, 422, 'INVALID_FIELDS').errors?.map((it) => it.location) ?? [];
  assert(fields.includes('body.EMail') && fields.includes('body.Zip'), String(fields));

  const [tag] = succeeded(await client.GET('/v1/{PPass}/tags', { params: { path } }), 200).data;
  assert(tag);
  const tagged = await client.POST('/v1/{PPass}/tags/prospects/{id}', { params: { path: { ...path, id } }, body: { tagId: tag.id } });
  assert.deepEqual(succeeded(tagged, 201).data.Tags.map((it) => it.name), [tag.name]);
  return id;
}

async function slotsOf(client: Client<paths>, id: number, query: { date: string; duration: number; visitType: string }): Promise<string[]> {
  const found = await client.GET('/v1/{PPass}/availability/providers/{id}/slots', { params: { path: { ...path, id }, query } });
  const slots = succeeded(found, 200).data;
  assert.equal(slots.Count, slots.Slots.length);
  return slots.Slots;
}

async function booking(client: Client<paths>, patient: number): Promise<void> {
  const types = succeeded(await client.GET('/v1/{PPass}/visit-types', { params: { path } }), 200).data;
  const type = types.find((it) => it.Bookable && it.Providers.length);
  const provider = type?.Providers[0];
  assert(type && provider !== undefined);
  const free: { date: string; time: string }[] = [];
  for (let day = 1; day <= 7; day += 1) {
    const date = new Date(Date.now() + day * 86_400_000).toISOString().slice(0, 10);
    const times = await slotsOf(client, provider, { date, duration: 30, visitType: type.VisitType });
    free.push(...times.map((time) => ({ date, time })));
  }
  const slot = free.at(-1);
  assert(slot, 'no time is free for a week');
  const visit = { PatientID: patient, ProviderID: provider, VisitType: type.VisitType, VisitDate: slot.date, VisitTime: slot.time, VisitDuration: 30 };
  const booked = succeeded(await client.POST('/v1/{PPass}/visits/book', { params: { path, header: once() }, body: visit }), 201).data;
  assert.equal(booked.VisitTime, slot.time);

  const taken = failed(await client.POST('/v1/{PPass}/visits/book', { params: { path, header: once() }, body: visit }), 409, 'PROVIDER_CONFLICT');
  const codes = taken.conflicts?.map((it) => it.code) ?? [];
  assert(codes.includes('PROVIDER_CONFLICT') && codes.includes('PATIENT_CONFLICT'), String(codes));
  assert(taken.conflicts?.[0]?.blocking.length);
}

async function verifiedEvent(client: Client<paths>, patient: number): Promise<void> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => { body += part; });
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const hookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
    const subscription = succeeded(await client.POST('/v1/webhooks/signup', { body: { hookUrl, scopes: ['Patients'] } }), 201).data;
    assert(subscription.secret);
    const change = await client.PUT('/v1/{PPass}/prospects/{id}', { params: { path: { ...path, id: patient } }, body: { Notes: 'Prefers mornings' } });
    succeeded(change, 200);
    const secret = new Webhook(subscription.secret);
    const own = () => received.find((it) => (JSON.parse(it.body) as Payload).recordId === patient);
    for (let waited = 0; !own() && waited < 1_200; waited += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    const event = own();
    assert(event, 'no event arrived');
    const headers = event.headers as Record<string, string>;
    const payload = secret.verify(event.body, headers) as Payload;
    assert.equal(payload.event, 'Patients');
    assert.equal(payload.eventId, headers['webhook-id']);
    assert.throws(() => secret.verify(event.body.replace('Patients', 'patients'), headers), WebhookVerificationError);
    succeeded(await client.DELETE('/v1/webhooks'), 200);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function ticket(client: Client<paths>): Promise<void> {
  const opened = await client.POST('/v1/{PPass}/tickets', { params: { path, header: once() }, body: { Subject: 'Fax is down', Priority: 'High' } });
  const id = succeeded(opened, 201).data.TicketID;
  const comment = { params: { path: { ...path, id }, header: once() }, body: { Comment: 'It works again' } };
  succeeded(await client.POST('/v1/{PPass}/tickets/{id}/comment', comment), 201);
  const closed = await client.PUT('/v1/{PPass}/ticket/{id}', { params: { path: { ...path, id } }, body: { Status: 'Resolved' } });
  assert.equal(succeeded(closed, 200).data.Status, 'Resolved');
  const read = succeeded(await client.GET('/v1/{PPass}/ticket/{id}', { params: { path: { ...path, id } } }), 200);
  assert.deepEqual(read.data.Comments.map((it) => it.Comment), ['It works again']);
}

async function products(client: Client<paths>): Promise<void> {
  const item = (number: number) => ({ VendorCode: `TS${Date.now()}`, ProductCode: `P${number}`, Product: 'Gauze', RetailPrice: 9.95 });
  const sent = [item(1), item(2), { ...item(3), RetailPrice: -1 }];
  const result = succeeded(await client.POST('/v1/products', { params: { header: once() }, body: { products: sent } }), 200).data;
  assert.deepEqual([result.created, result.failed], [2, 1]);
  assert.deepEqual(result.results.map((it) => it.status), ['created', 'created', 'failed']);
  const query = { vendorCode: sent[0]!.VendorCode };
  const stored = succeeded(await client.GET('/v1/products', { params: { query } }), 200).data;
  assert.deepEqual(stored.map((it) => it.RetailPrice), [9.95, 9.95]);
}

async function articleAndMe(client: Client<paths>): Promise<void> {
  const [first] = succeeded(await client.GET('/v1/kb', { params: { query: { limit: 1 } } }), 200).data;
  assert(first);
  const article = succeeded(await client.GET('/v1/kb/{id}', { params: { path: { id: first.KBID } } }), 200).data;
  assert.equal(article.Title, first.Title);
  const me = succeeded(await client.GET('/v1/me'), 200).data;
  assert.equal(me.key.practicepass, path.PPass);
}

/** Calls with a key that permits one call a minute until it is refused. */
async function refusedByLimit(): Promise<void> {
  const client = await signedIn(setting('LIMITED_KEY'));
  for (let calls = 0; calls < 50; calls += 1) {
    const answer = await client.GET('/v1/me');
    if (answer.response.status === 200) continue;
    failed(answer, 429, 'RATE_LIMITED');
    const wait = Number(answer.response.headers.get('Retry-After'));
    assert(wait >= 1 && wait <= 60, String(wait));
    return;
  }
  assert.fail('the limit was never reached');
}

const client = await signedIn(setting('API_KEY'));
const patient = await prospectWithTag(client);
await booking(client, patient);
await verifiedEvent(client, patient);
await ticket(client);
await products(client);
await articleAndMe(client);
await refusedByLimit();
console.log('TypeScript: token, prospect, tag, slots, booking, event, ticket, products, article, me; 409, 422 and 429');
