// @ts-check
// Converts the API's description (OpenAPI 3.1) to what the page shows.
import { SECTIONS } from './outline.js';

import { words } from '../../parts/badges.js';

/**
 * @typedef {{name: string, in: string, required?: boolean, description?: string, example?: any, schema: any}} Parameter
 * @typedef {{id: string, name: string, method: string, path: string, summary: string, description: string, parameters: Parameter[], body: any,
 *   responses: [string, any][], scopes: string[], access: 'open' | 'partner' | 'admin', entry: import('./outline.js').Entry | null}} Operation
 * @typedef {{id: string, title: string, intro: string[], operations: Operation[]}} DocSection
 * @typedef {{name: string, type: string, required: boolean, limits: string, description: string}} FieldInfo
 */

/** Names of operations whose ids do not read well as words. @type {Record<string, string>} */
const NAMES = {
  exchangeKey: 'Get an access token', signUp: 'Sign up for events', sendTest: 'Send a test event', getMe: 'Get your information', updateMe: 'Update your information',
  checkSlot: 'Check a time', getHealth: 'Check the health of the API', getDescription: 'Get the OpenAPI document', getAdminDescription: 'Get the OpenAPI document of all operations', getSubscription: 'Get your subscription',
  deleteSubscription: 'Delete your subscription', upsertProducts: 'Create or update products',
};

/** Returns the address of the description for this reader: an administrator's has all operations. @param {import('../../lib/session.js').User | null} user */
export const addressOf = (user) => (user?.role === 'admin' ? '/v1/openapi-admin.json' : '/v1/openapi.json');

/** Returns the sections in the reference's order, each with the reference's endpoints first. @param {any} description @returns {DocSection[]} */
export function readDescription(description) {
  /** @type {Map<string, {tag: string, operation: Operation}>} */
  const all = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, found] of Object.entries(/** @type {any} */ (methods))) {
      const operation = read(description, method.toUpperCase(), path, found);
      all.set(`${operation.method} ${path}`, { tag: found.tags?.[0] ?? '', operation });
    }
  }
  const named = new Set(SECTIONS.flatMap((section) => section.entries.map((entry) => entry.operation)));
  return SECTIONS.map((section) => {
    const first = section.entries.flatMap((entry) => {
      const operation = all.get(entry.operation)?.operation;
      return operation ? [{ ...operation, entry }] : [];
    });
    const others = [...all].filter(([name, it]) => it.tag === section.tag && !named.has(name)).map(([, it]) => it.operation);
    return { id: section.id, title: section.title, intro: section.intro ?? [], operations: [...first, ...others] };
  }).filter((section) => section.operations.length);
}

/** @param {any} description @param {string} method @param {string} path @param {any} found @returns {Operation} */
function read(description, method, path, found) {
  const security = /** @type {Record<string, string[]>[]} */ (found.security ?? []);
  const access = security.some((it) => 'adminSecret' in it) ? 'admin' : security.some((it) => 'accessToken' in it) ? 'partner' : 'open';
  return {
    id: found.operationId,
    name: NAMES[found.operationId] ?? words(found.operationId),
    method,
    path,
    summary: found.summary ?? '',
    description: found.description ?? '',
    parameters: (found.parameters ?? []).map((/** @type {any} */ it) => resolve(description, it)),
    body: found.requestBody?.content?.['application/json']?.schema ?? null,
    responses: Object.entries(found.responses ?? {}).map(([status, it]) => [status, resolve(description, it)]),
    scopes: [...new Set(security.flatMap((it) => it.accessToken ?? []))],
    access,
    entry: null,
  };
}

/** Resolves a reference within the description. @param {any} description @param {any} part @returns {any} */
export function resolve(description, part) {
  if (!part?.$ref) return part ?? {};
  return part.$ref.split('/').slice(1).reduce((/** @type {any} */ found, /** @type {string} */ name) => found?.[name], description) ?? {};
}

/** Returns the content of the successful response, if it is JSON. @param {Operation} operation */
export const successOf = (operation) => operation.responses.find(([status]) => status.startsWith('2'))?.[1]?.content?.['application/json'];

/** Fields of objects within objects are listed to this depth. */
const DEPTH = 3;

/**
 * Returns the fields of a schema, and below each those of its own objects: `data[].TicketID`.
 * @param {any} description @param {any} schema @param {string} [prefix] @param {number} [depth] @returns {FieldInfo[]}
 */
export function fieldsOf(description, schema, prefix = '', depth = 0) {
  const it = withoutNull(description, schema);
  if (depth > DEPTH || !it) return [];
  if (it.allOf) return it.allOf.flatMap((/** @type {any} */ part) => fieldsOf(description, part, prefix, depth));
  if (it.type === 'array') return fieldsOf(description, it.items, `${prefix.replace(/\.$/, '')}[].`, depth);
  return Object.entries(it.properties ?? {}).flatMap(([name, property]) => [
    {
      name: prefix + name,
      type: typeOf(description, property),
      required: (it.required ?? []).includes(name),
      limits: limitsOf(description, property),
      description: /** @type {any} */ (property).description ?? descriptionOf(description, property),
    },
    ...fieldsOf(description, property, `${prefix}${name}.`, depth + 1),
  ]);
}

/** Returns the schema, or the only part of it that is not null. @param {any} description @param {any} schema @returns {any} */
function withoutNull(description, schema) {
  const it = resolve(description, schema);
  const others = (it.oneOf ?? it.anyOf)?.filter((/** @type {any} */ one) => one.type !== 'null');
  return others?.length === 1 ? withoutNull(description, others[0]) : it;
}

/** @param {any} description @param {any} schema */
function descriptionOf(description, schema) {
  const described = (schema.oneOf ?? schema.anyOf)?.find((/** @type {any} */ one) => one.description);
  return described?.description ?? withoutNull(description, schema).description ?? '';
}

/** Returns the limits of a value in words, such as "1 to 100 characters". @param {any} description @param {any} schema */
export function limitsOf(description, schema) {
  const it = withoutNull(description, schema);
  const limited = it.oneOf?.find((/** @type {any} */ one) => resolve(description, one).maximum !== undefined) ?? it;
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, default: preset } = resolve(description, limited);
  return [
    range(minLength, maxLength, 'characters'),
    range(minItems, maxItems, 'items'),
    // Limits of an integer's type are none that anybody meets.
    range(ordinary(minimum), ordinary(maximum), ''),
    preset === undefined ? '' : `default ${JSON.stringify(preset)}`,
  ].filter(Boolean).join('; ');
}

/** @param {number | undefined} limit */
const ordinary = (limit) => (limit !== undefined && Math.abs(limit) < 1e12 ? limit : undefined);

/** @param {number | undefined} low @param {number | undefined} high @param {string} unit */
function range(low, high, unit) {
  const text = (/** @type {number} */ value) => value.toLocaleString('en-US');
  if (high === undefined) return low ? `at least ${text(low)} ${unit}`.trim() : '';
  return `${low ? `${text(low)} to ${text(high)}` : `at most ${text(high)}`} ${unit}`.trim();
}

/**
 * Returns the errors of an operation by status, each code with an example.
 * @param {any} description @param {Operation} operation @returns {{status: string, note: string, codes: {code: string, title: string, example: any}[]}[]}
 */
export function errorsOf(description, operation) {
  return operation.responses.filter(([status]) => /^[45]/.test(status)).map(([status, response]) => {
    const examples = response.content?.['application/problem+json']?.examples ?? {};
    const codes = Object.entries(examples).map(([code, found]) => {
      const example = resolve(description, found);
      return { code, title: example.summary ?? '', example: example.value };
    });
    // What the description says beyond the names of the codes.
    const note = (response.description ?? '').replace(/^(`[A-Z_]+`(, )?)+/, '').replace(/^[.:]? */, '');
    return { status, note, codes };
  });
}

/** @param {any} description @param {any} schema @returns {string} */
export function typeOf(description, schema) {
  const it = resolve(description, schema);
  const choices = it.oneOf ?? it.anyOf;
  if (choices) return choices.map((/** @type {any} */ one) => typeOf(description, one)).join(' or ');
  if (it.enum && it.enum.length <= 12) return it.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(' | ');
  const types = Array.isArray(it.type) ? it.type : [it.type ?? 'any'];
  return types.map((/** @type {string} */ type) => (type === 'array' ? `array of ${typeOf(description, it.items)}` : type)).join(' or ');
}

/** Returns an example of a schema, from its own examples where it has any. @param {any} description @param {any} schema @param {number} [depth] @returns {any} */
export function exampleOf(description, schema, depth = 0) {
  const it = resolve(description, schema);
  if (schema?.example !== undefined) return schema.example;
  if (it.example !== undefined) return it.example;
  if (it.examples?.length) return it.examples[0];
  if (depth > 5) return null;
  if (it.allOf) return Object.assign({}, ...it.allOf.map((/** @type {any} */ part) => exampleOf(description, part, depth + 1)));
  const choice = (it.oneOf ?? it.anyOf)?.find((/** @type {any} */ one) => one.type !== 'null');
  if (choice) return exampleOf(description, choice, depth + 1);
  if (it.enum) return it.enum[0];
  const type = Array.isArray(it.type) ? it.type.find((/** @type {string} */ one) => one !== 'null') : it.type;
  switch (type) {
    case 'object': return Object.fromEntries(Object.entries(it.properties ?? {}).map(([name, property]) => [name, exampleOf(description, property, depth + 1)]));
    case 'array': return [exampleOf(description, it.items, depth + 1)];
    case 'integer': return it.default ?? it.minimum ?? 1;
    case 'number': return it.default ?? 1.5;
    case 'boolean': return it.default ?? true;
    case 'string': return it.format === 'date-time' ? '2026-03-09T14:00:00Z' : it.format === 'date' ? '2026-03-09' : (it.default ?? 'text');
    default: return null;
  }
}
