// @ts-check
// Pages and filters are in the URL's fragment (#/admin/activity?status=5xx): a static host needs no
// rules for deep links, and the fragment is not sent to it.
import { useEffect, useState } from '../vendor/preact.js';

/** @typedef {{path: string, query: URLSearchParams}} Route */

/** @returns {Route} */
export function currentRoute() {
  const hash = location.hash.slice(1);
  // Claim links are '#claim=<token>'.
  if (hash.startsWith('claim=')) return { path: '/claim', query: new URLSearchParams(hash) };
  const [path, query = ''] = hash.split('?', 2);
  return { path: path || '/', query: new URLSearchParams(query) };
}

export function useRoute() {
  const [route, setRoute] = useState(currentRoute);
  useEffect(() => {
    const changed = () => setRoute(currentRoute());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}

/**
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query]
 */
export function href(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#${path}${text ? `?${text}` : ''}`;
}

/** @param {string} path @param {Record<string, string | number | null | undefined>} [query] */
export function go(path, query) {
  location.hash = href(path, query);
}

/**
 * Changes filters in the URL without a history entry for every keystroke.
 * @param {Record<string, string | null | undefined>} changes
 */
export function changeQuery(changes) {
  const { path, query } = currentRoute();
  const next = href(path, { ...Object.fromEntries(query), ...changes });
  if (next === location.hash) return;
  history.replaceState(null, '', next);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

/** Removes the fragment from the address bar and the history, where a secret must not stay. */
export function forgetHash() {
  history.replaceState(null, '', location.pathname);
}
