// @ts-check
import { html } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { formatNumber } from '../../lib/format.js';
import { useEvery, useLoad } from '../../lib/load.js';
import { isAttended } from '../../lib/session.js';
import { Status, Time, words } from '../../parts/badges.js';
import { Card } from '../../parts/page.js';
import { Awaited } from '../../parts/state.js';
import { Table } from '../../parts/table.js';

/** Maximum number of practices shown for a check; the API returns more. */
const NAMED = 10;
/** How often to refresh, in milliseconds. The checks cost more than the other figures. */
const REFRESH = 60_000;

/** Reads the checks. If the platform is not ready, a problem contains the same data. @param {AbortSignal} signal */
async function read(signal) {
  try {
    return await get('/v1/admin/readiness', {}, signal);
  } catch (/** @type {any} */ error) {
    if (error.code === 'NOT_READY' && error.data) return { data: error.data };
    throw error;
  }
}

/** The readiness checks, worst first. */
export function ReadinessPanel() {
  const load = useLoad(read, 'readiness');
  useEvery(() => void (isAttended() && !load.loading && load.reload()), REFRESH, true);
  const readiness = /** @type {import('../../lib/types').Readiness | undefined} */ (load.data?.data);
  return html`<${Card} title="Readiness" end=${readiness && html`<${Status} status=${readiness.status} />`}>
    <${Awaited} load=${load} what="readiness">${() => readiness && html`<${Checks} readiness=${readiness} />`}<//><//>`;
}

/** @param {{readiness: import('../../lib/types').Readiness}} props */
function Checks({ readiness }) {
  const failed = readiness.checks.filter((it) => it.status === 'failed');
  const degraded = readiness.checks.filter((it) => it.status === 'degraded');
  const fine = readiness.checks.filter((it) => it.status === 'ok');
  const wrong = [...failed, ...degraded];
  return html`
    ${wrong.length > 0 && html`<${CheckTable} caption="Checks that are not ok" rows=${wrong} />`}
    <details class="body"><summary>${wrong.length ? `${fine.length} of ${readiness.checks.length} checks are ok` : `All ${fine.length} checks are ok`}, <${Time} at=${readiness.checkedAt} ago /></summary>
      ${fine.length > 0 && html`<${CheckTable} caption="Checks that are ok" rows=${fine} />`}</details>`;
}

/** @param {{caption: string, rows: import('../../lib/types').Check[]}} props */
function CheckTable({ caption, rows }) {
  return html`<${Table} caption=${caption} rows=${rows} id=${(/** @type {any} */ it) => it.name} columns=${[
    { label: 'Check', class: 'wide', cell: (/** @type {any} */ it) => html`<span title=${it.meaning}>${words(it.name)}</span>` },
    { label: 'Status', cell: (/** @type {any} */ it) => html`<${Status} status=${it.status} />` },
    { label: 'Finding', class: 'widest', cell: (/** @type {any} */ it) => html`<${Found} check=${it} />` },
    { label: 'Since', class: 'wide', cell: (/** @type {any} */ it) => (it.since ? html`<${Time} at=${it.since} ago />` : '–') },
  ]} />`;
}

/** @param {{check: import('../../lib/types').Check}} props */
function Found({ check }) {
  const listed = check.practices?.listed.slice(0, NAMED) ?? [];
  const more = (check.practices?.count ?? 0) - listed.length;
  return html`<div>${check.detail}
    ${check.figures.length > 0 && html`<span class="sub">${check.figures.map(figure).join(' · ')}</span>`}
    ${listed.length > 0 && html`<span class="sub">${listed.map((it) => `${it.practicepass} (${words(it.reason).toLowerCase()})`).join(', ')}${more > 0 && ` and ${formatNumber(more)} more`}</span>`}
    ${check.status !== 'ok' && html`<span class="sub">Runbook: ${check.runbook}</span>`}</div>`;
}

/** @param {import('../../lib/types').Figure} it */
function figure({ name, value, atMost, atLeast }) {
  const threshold = atMost !== null ? ` (at most ${formatNumber(atMost)})` : atLeast !== null ? ` (at least ${formatNumber(atLeast)})` : '';
  return `${words(name)} ${formatNumber(value)}${threshold}`;
}
