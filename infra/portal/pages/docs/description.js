// @ts-check
// Converts the API's description (OpenAPI 3.1) to what the page shows.
import { SECTIONS } from './outline.js';

/**
 * @typedef {{name: string, in: string, required?: boolean, description?: string, example?: any, schema: any}} Parameter
 * @typedef {{id: string, method: string, path: string, summary: string, description: string, parameters: Parameter[], body: any,
 *   responses: [string, any][], scopes: string[], access: 'open' | 'partner' | 'admin', entry: import('./outline.js').Entry | null}} Operation
 * @typedef {{id: string, title: string, intro: string[], operations: Operation[]}} DocSection
 */

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

/**
 * Returns the fields of a schema, including those of its parts.
 * @param {any} description @param {any} schema
 * @returns {{name: string, type: string, required: boolean, description: string}[]}
 */
export function fieldsOf(description, schema) {
  const it = resolve(description, schema);
  if (it.allOf) return it.allOf.flatMap((/** @type {any} */ part) => fieldsOf(description, part));
  return Object.entries(it.properties ?? {}).map(([name, property]) => ({
    name,
    type: typeOf(description, property),
    required: (it.required ?? []).includes(name),
    description: /** @type {any} */ (property).description ?? resolve(description, property).description ?? '',
  }));
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
