// @ts-check
// Columns that the dashboard and other pages share, in the order of the published reference.
import { html } from '../../vendor/preact.js';
import { formatDuration } from '../../lib/format.js';
import { href } from '../../lib/router.js';
import { Method, Path, Scopes, Status, StatusCode, Time } from '../../parts/badges.js';

/** @typedef {import('../../lib/types').Key} Key */
/** @typedef {import('../../lib/types').AccessRequest} AccessRequest */
/** @typedef {import('../../lib/types').Call} Call */

/** @type {import('../../parts/table.js').Column<Key>[]} */
export const KEY_COLUMNS = [
  { label: 'Name', class: 'wide', cell: (key) => html`<span>${key.name}<span class="sub mono nowrap">${key.prefix}…</span></span>` },
  { label: 'Partner', class: 'wide', cell: (key) => html`<a href=${href('/admin/activity', { partner: key.partnerId })}>${key.partner}</a>` },
  { label: 'PPass', cell: (key) => html`<code class="nowrap">${key.practicepass}</code>` },
  { label: 'Scopes', class: 'widest', cell: (key) => html`<${Scopes} scopes=${key.scopes} />` },
  { label: 'Last Used', class: 'nowrap', cell: (key) => html`<${Time} at=${key.lastUsedAt} ago />` },
  {
    label: 'Status',
    cell: (key) => html`<span><${Status} status=${key.status} />
      ${key.expiresAt && key.status === 'active' && html`<span class="sub">until <${Time} at=${key.expiresAt} /></span>`}
      ${key.previousSecretUntil && html`<span class="sub">old secret until <${Time} at=${key.previousSecretUntil} /></span>`}</span>`,
  },
];

/** @type {import('../../parts/table.js').Column<AccessRequest>[]} */
export const REQUEST_COLUMNS = [
  { label: 'Time', class: 'nowrap', cell: (request) => html`<${Time} at=${request.createdAt} />` },
  { label: 'Company', class: 'wide', cell: (request) => request.company },
  { label: 'Practice', cell: (request) => request.practice },
  { label: 'Contact', class: 'wide', cell: (request) => html`<span>${request.contact}<span class="sub">${request.email}</span></span>` },
  { label: 'Requested Scopes', class: 'widest', cell: (request) => html`<${Scopes} scopes=${request.requestedScopes} />` },
  { label: 'Status', cell: (request) => html`<${Status} status=${request.status} />` },
];

/** @type {import('../../parts/table.js').Column<Call>[]} */
export const CALL_COLUMNS = [
  { label: 'Time', class: 'nowrap', cell: (call) => html`<${Time} at=${call.time} />` },
  { label: 'Method', cell: (call) => html`<${Method} method=${call.method} />` },
  { label: 'Endpoint', class: 'wide', cell: (call) => html`<${Path} path=${call.endpoint} title=${`Request id ${call.requestId}`} />` },
  { label: 'Status', cell: (call) => html`<${StatusCode} code=${call.status} />` },
  { label: 'Duration', class: 'number', cell: (call) => formatDuration(call.durationMs) },
  { label: 'Partner', class: 'wide', cell: (call) => html`<span>${call.partner ?? call.keyName ?? '–'}${call.partner && html`<span class="sub">${call.keyName}</span>`}</span>` },
  { label: 'IP', class: 'mono', cell: (call) => call.ip ?? '–' },
];

/** @param {Call} call */
export const callId = (call) => `${call.requestId}${call.time}${call.endpoint}`;
