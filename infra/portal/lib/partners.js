// @ts-check
import { get } from './api.js';

/** @typedef {import('./types').Partner} Partner */

/** Maximum number of pages of 100 partners to read. */
const PAGES = 10;

/** Returns the partners to choose from, ordered by company; at most the first 1,000. @param {AbortSignal} signal */
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

/** Distinguishes partners of the same name, because partners can change their own names. @param {Partner} it */
export const labelOf = (it) => `${it.company} (${it.email ?? 'no e-mail'}, ${it.id}${it.identityChangedAt ? ', changed its own name or e-mail' : ''})`;
