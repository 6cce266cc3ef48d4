// @ts-check
// Searches guides, error codes, operations and fields.
import { addressOf, fieldsOf, readDescription, successOf } from './description.js';
import { get } from '../../lib/api.js';

/**
 * @typedef {{kind: 'Guide' | 'Error code' | 'Operation' | 'Field', title: string, context: string, href: string, text: string}} Entry
 */

/** Results that are shown at most. */
const MOST = 12;

/**
 * Loads everything that can be searched. `base` leads from the page to the portal's root.
 * @param {string} base @param {import('../../lib/session.js').User | null} user @returns {Promise<Entry[]>}
 */
export async function loadEntries(base, user) {
  const [guides, description] = await Promise.all([fetch(`${base}docs/search.json`).then((it) => it.json()), get(addressOf(user))]);
  return [...ofGuides(guides, base), ...ofDescription(description, base)];
}

/** @param {{title: string, guide: string, href: string, text: string}[]} guides @param {string} base @returns {Entry[]} */
function ofGuides(guides, base) {
  return guides.map((it) => {
    const isCode = /^[A-Z]+(_[A-Z]+)*$/.test(it.title);
    return { kind: isCode ? 'Error code' : 'Guide', title: it.title, context: it.title === it.guide ? '' : it.guide, href: `${base}docs/${it.href}`, text: it.text.toLowerCase() };
  });
}

/** @param {any} description @param {string} base @returns {Entry[]} */
function ofDescription(description, base) {
  return readDescription(description).flatMap((section) => section.operations.flatMap((operation) => {
    const href = `${base}#/docs/${operation.id}`;
    const names = [
      ...operation.parameters.map((it) => it.name),
      ...fieldsOf(description, operation.body).map((it) => it.name),
      ...fieldsOf(description, successOf(operation)?.schema).map((it) => it.name.replace(/^data(\[\])?\./, '')),
    ].filter((name) => !['PPass', 'data', 'message', 'count'].includes(name));
    /** @type {Entry[]} */
    const fields = [...new Set(names)].map((name) => ({ kind: 'Field', title: name, context: operation.name, href, text: '' }));
    const text = `${operation.method} ${operation.path} ${operation.id} ${operation.summary} ${operation.description} ${section.title}`.toLowerCase();
    /** @type {Entry} */
    const own = { kind: 'Operation', title: operation.name, context: `${operation.method} ${operation.path}`, href, text };
    return [own, ...fields];
  }));
}

/** Returns the best entries that contain all words. @param {Entry[]} entries @param {string} query */
export function search(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const rated = entries.map((entry) => ({ entry, rate: rate(entry, words) })).filter((it) => it.rate > 0);
  return rated.sort((a, b) => b.rate - a.rate).slice(0, MOST).map((it) => it.entry);
}

const KINDS = { 'Error code': 4, Operation: 3, Guide: 2, Field: 1 };

/** @param {Entry} entry @param {string[]} words */
function rate(entry, words) {
  const title = entry.title.toLowerCase();
  const context = entry.context.toLowerCase();
  let sum = 0;
  for (const word of words) {
    if (title === word) sum += 100;
    else if (title.startsWith(word)) sum += 40;
    else if (title.includes(word)) sum += 20;
    else if (context.includes(word)) sum += 6;
    else if (entry.text.includes(word)) sum += 2;
    else return 0;
  }
  return sum + (title === words.join(' ') ? 100 : 0) + KINDS[entry.kind];
}
