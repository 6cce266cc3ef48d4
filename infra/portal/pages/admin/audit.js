// @ts-check
import { html } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { usePages } from '../../lib/load.js';
import { StatusCode, Time } from '../../parts/badges.js';
import { PageHead } from '../../parts/page.js';
import { PagedTable } from '../../parts/table.js';

/** @typedef {import('../../lib/types').AuditRecord} AuditRecord */

/** @type {import('../../parts/table.js').Column<AuditRecord>[]} */
const COLUMNS = [
  { label: 'Time', class: 'nowrap', cell: (it) => html`<${Time} at=${it.time} />` },
  { label: 'Action', class: 'wide', cell: (it) => html`<code>${it.action}</code>` },
  { label: 'Target', class: 'wide', cell: (it) => html`<span>${it.target ?? '–'}${it.fields.length > 0 && html`<span class="sub">${it.fields.join(', ')}</span>`}${it.changes.map((change) => html`<span class="sub" key=${change.field}>${change.field}: ${change.from ?? '–'} → ${change.to ?? '–'}</span>`)}</span>` },
  { label: 'Result', cell: (it) => (it.status === null ? html`<span class="badge good">Changed</span>` : html`<${StatusCode} code=${it.status} />`) },
  { label: 'Credential', cell: (it) => it.credential },
  { label: 'IP', class: 'mono', cell: (it) => it.ip ?? '–' },
  { label: 'Request id', class: 'wide', cell: (it) => html`<code class="small">${it.requestId}</code>` },
];

export function Audit() {
  const pages = usePages((cursor, signal) => get('/v1/admin/audit', { limit: 50, cursor }, signal), 'audit');
  return html`
    <${PageHead} title="Audit Log" lead="Every use of the admin secret or of an administrator's session, including reads and rejected changes."
      actions=${html`<button type="button" class="button" onClick=${pages.reload}>Refresh</button>`} />
    <section class="card"><${PagedTable} pages=${pages} what="the audit log" caption="Audit Log" columns=${COLUMNS} id=${(/** @type {AuditRecord} */ it) => it.id}
      empty="There are no records yet." /></section>`;
}
