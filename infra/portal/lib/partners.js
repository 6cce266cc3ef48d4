// @ts-check
import { get } from './api.js';

/** @typedef {import('./types').Partner} Partner */

/** So many pages of 100 are looked through. */
const PAGES = 10;

/** The partners to choose from, in the order of their companies' names; of more than 1,000 the first. @param {AbortSignal} signal */
export async function partnersToChoose(signal) {
  /** @type {Partner[]} */
  const all = [];
  let cursor = null;
  for (let page = 0; page < PAGES; page += 1) {
    const answer = /** @type {any} */ (await get('/v1/admin/partners', { limit: 100, ...(cursor && { cursor }) }, signal));
    all.push(...answer.data);
    cursor = answer.pagination.nextCursor;
    if (!cursor) break;
  }
  return all;
}

/** What tells a partner from another of the same name: it may have chosen the name itself. @param {Partner} it */
export const labelOf = (it) => `${it.company} (${it.email ?? 'no e-mail'}, ${it.id}${it.identityChangedAt ? ', renamed itself' : ''})`;
