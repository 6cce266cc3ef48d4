// @ts-check
import { html } from '../vendor/preact.js';
import { formatAgo, formatTime } from '../lib/format.js';

/** @type {Record<string, string>} */
const KINDS = {
  ready: 'good', ok: 'good', degraded: 'warn', notReady: 'bad',
  active: 'good', granted: 'good', approved: 'good', succeeded: 'good', delivered: 'good', success: 'good',
  pending: 'warn', retrying: 'warn', slow: 'warn', 'half-open': 'warn', paced: 'warn', held: 'warn', open: 'bad', paused: 'warn', expired: 'warn', suspended: 'warn',
  revoked: 'bad', denied: 'bad', failed: 'bad', exhausted: 'bad', disabled: 'bad',
};

/** A status in words: `notReady` reads "Not ready". @param {{status: string}} props */
export const Status = ({ status }) => html`<span class=${`badge ${KINDS[status] ?? ''}`}>${words(status)}</span>`;

/** Splits a camel-case name into words. @param {string} name */
export const words = (name) => name.charAt(0).toUpperCase() + name.slice(1).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** @param {{code: number | null}} props */
export function StatusCode({ code }) {
  if (code === null) return html`<span class="muted">–</span>`;
  return html`<span class=${`badge plain ${code < 300 ? 'good' : code < 400 ? 'info' : code < 500 ? 'warn' : 'bad'}`}>${code}</span>`;
}

/** @param {{method: string}} props */
export const Method = ({ method }) => html`<span class=${`method ${method}`}>${method}</span>`;

/** A route, which wraps only after a slash. @param {{path: string, title?: string}} props */
export const Path = ({ path, title }) => html`<code class="path" title=${title}>${path.split(/(?<=\/)/).map((part) => html`${part}<wbr />`)}</code>`;

/** @param {{scopes: string[]}} props */
export const Scopes = ({ scopes }) => html`<span class="chips">${scopes.map((scope) => html`<span class="chip" key=${scope}>${scope}</span>`)}</span>`;

/** @param {{at: string | null, ago?: boolean}} props */
export function Time({ at, ago = false }) {
  if (!at) return html`<span class="muted">${ago ? 'Never' : '–'}</span>`;
  return html`<time datetime=${at} title=${formatTime(at)}>${ago ? formatAgo(at) : formatTime(at)}</time>`;
}
