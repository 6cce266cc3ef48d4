// @ts-check
// Placeholders for data: loading, empty or failed.
import { html } from '../vendor/preact.js';
import { RequestId } from './copy.js';

/** @param {{what?: string}} props */
export function Loading({ what = '' }) {
  return html`<div class="loading" role="status">Loading${what && ` ${what}`}...</div>`;
}

/** @param {{children?: any}} props */
export function Empty({ children }) {
  return html`<div class="empty">${children}</div>`;
}

/** @param {{error: any, retry?: (() => void) | null}} props */
export function Failure({ error, retry }) {
  if (!error) return null;
  return html`<div class="notice bad" role="alert">
    <strong>${error.title || 'Something went wrong'}</strong>
    <span>${error.message}</span>
    ${error.retryAfter > 0 && html` <span>Try again in ${error.retryAfter} s.</span>`}
    ${unplaced(error).map((it) => html`<div>${it.location}: ${it.message}</div>`)}
    <${RequestId} id=${error.requestId} />
    ${retry && html`<div class="button-row"><button type="button" class="button small" onClick=${retry}>Try again</button></div>`}
  </div>`;
}

/** Returns the errors that no form shows beside a field. @param {any} error @returns {import('../lib/types').FieldError[]} */
const unplaced = (error) => (error.errors ?? []).filter((/** @type {any} */ it) => !it.location?.startsWith('body.'));

/**
 * Shows the data when it is loaded; until then, a loading message or the error.
 * @param {{load: import('../lib/load.js').Loaded<any>, what: string, children: (data: any) => any}} props
 */
export function Awaited({ load, what, children }) {
  const { data, error, loading, reload } = load;
  if (error && error.status !== 401) {
    return html`<div class="body"><${Failure} error=${error} retry=${reload} /></div>${data && children(data)}`;
  }
  if (!data) return html`<${Loading} what=${what} />`;
  return html`<div class=${loading ? 'stale' : ''} aria-busy=${loading}>${children(data)}</div>`;
}
