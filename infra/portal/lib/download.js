// @ts-check
import { problemOf, send, withQuery } from './api.js';

/** Maximum number of files of 5,000 rows that one download joins. */
const MOST_FILES = 20;

/**
 * Saves a list as one CSV file, which joins the pages that the API returns.
 * @param {string} path
 * @param {Record<string, string>} query
 * @param {string} name
 * @returns {Promise<boolean>} Whether the file is complete.
 */
export async function saveCsv(path, query, name) {
  /** @type {string[]} */
  const parts = [];
  let cursor = '';
  for (let file = 0; file < MOST_FILES; file++) {
    const response = await send('GET', withQuery(path, { ...query, cursor, format: 'csv' }));
    if (!response.ok) throw await problemOf(response);
    const text = await response.text();
    // Keep only the first header line.
    parts.push(file === 0 ? text : text.slice(text.indexOf('\n') + 1));
    cursor = response.headers.get('X-Next-Cursor') ?? '';
    if (!cursor) break;
  }
  saveFile(new Blob(parts, { type: 'text/csv' }), name);
  return !cursor;
}

/** @param {Blob} content @param {string} name */
function saveFile(content, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Revoke the URL only after the download has read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
