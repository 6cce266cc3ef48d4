// @ts-check
import { html } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { formatDuration, formatNumber, nextDay } from '../../lib/format.js';
import { useEvery, useLoad } from '../../lib/load.js';
import { href } from '../../lib/router.js';
import { isAttended } from '../../lib/session.js';
import { Method, Path, Status } from '../../parts/badges.js';
import { UsagePanel } from '../../parts/chart.js';
import { Card, PageHead } from '../../parts/page.js';
import { Awaited, Empty } from '../../parts/state.js';
import { Table } from '../../parts/table.js';
import { UsageTiles } from '../../parts/tiles.js';
import { CALL_COLUMNS, KEY_COLUMNS, REQUEST_COLUMNS, callId } from './columns.js';
import { ReadinessPanel } from './readiness.js';

/** How often to refresh the figures while the page is in use, in milliseconds. */
const REFRESH = 15_000;

export function Overview() {
  const overview = useLoad((signal) => get('/v1/admin/overview', { days: 7 }, signal), 'overview');
  const partners = useLoad((signal) => get('/v1/admin/partners', { limit: 8 }, signal), 'partners');
  const keys = useLoad((signal) => get('/v1/admin/keys', { limit: 5 }, signal), 'keys');
  const requests = useLoad((signal) => get('/v1/admin/access-requests', { limit: 5 }, signal), 'requests');
  const activity = useLoad((signal) => get('/v1/admin/activity', { limit: 10 }, signal), 'activity');
  useEvery(() => {
    if (!isAttended()) return;
    for (const load of [overview, activity]) if (!load.loading) load.reload();
  }, REFRESH, true);
  return html`
    <${PageHead} title="Dashboard Overview" badge=${overview.data?.data.multiTenant && html`<span class="badge info">Multi-Tenant Enabled</span>`} />
    <div class="stack">
      <${ReadinessPanel} />
      <${Awaited} load=${overview} what="usage">${(/** @type {any} */ body) => html`<${Usage} overview=${body.data} />`}<//>
      <div class="columns">
        <${Card} title="Partners" end=${html`<a href="#/admin/partners">All partners</a>`}>
          <${Awaited} load=${partners} what="partners">${(/** @type {any} */ body) => html`<${PartnerList} rows=${body.data} />`}<//><//>
        <${Card} title="Top Endpoints">
          <${Awaited} load=${overview} what="endpoints">${(/** @type {any} */ body) => html`<${TopEndpoints} rows=${body.data.topEndpoints} />`}<//><//>
      </div>
      <${Panel} title="API Keys" to="/admin/keys" all="All keys" load=${keys} what="keys" columns=${KEY_COLUMNS} id=${(/** @type {any} */ it) => it.id} empty="There are no API keys yet." />
      <${Panel} title="API Access Requests" to="/admin/access-requests" all="All requests" load=${requests} what="requests" columns=${REQUEST_COLUMNS} id=${(/** @type {any} */ it) => it.id} empty="There are no access requests yet." />
      <${Panel} title="Recent Activity" to="/admin/activity" all="All activity" load=${activity} what="logs" columns=${CALL_COLUMNS} id=${callId} empty="There are no calls yet." />
    </div>`;
}

/** @param {{title: string, to: string, all: string, load: any, what: string, columns: any, id: any, empty: string}} props */
function Panel({ title, to, all, load, what, columns, id, empty }) {
  return html`<${Card} title=${title} end=${html`<a href=${`#${to}`}>${all}</a>`}>
    <${Awaited} load=${load} what=${what}>${(/** @type {any} */ body) => body.data.length
      ? html`<${Table} caption=${title} columns=${columns} rows=${body.data} id=${id} />`
      : html`<${Empty}>${empty}<//>`}<//><//>`;
}

/** @param {{overview: import('../../lib/types').Overview}} props */
function Usage({ overview }) {
  const from = overview.days[0]?.date;
  const links = {
    all: href('/admin/activity', { from }),
    good: href('/admin/activity', { from, status: '2xx' }),
    errors: href('/admin/activity', { from, status: 'errors' }),
  };
  /** @param {string} date */
  const day = (date) => href('/admin/activity', { from: date, to: nextDay(date) });
  return html`<div class="stack"><${UsageTiles} usage=${overview} links=${links} />
    <${UsagePanel} title="API Usage (Last 7 Days)" days=${overview.days} linkTo=${day} /></div>`;
}

/** @param {{rows: import('../../lib/types').Partner[]}} props */
function PartnerList({ rows }) {
  if (!rows.length) return html`<${Empty}>There are no partners yet.<//>`;
  return html`<${Table} caption="Partners" rows=${rows} id=${(/** @type {any} */ it) => it.id} columns=${[
    { label: 'Company', class: 'wide', cell: (/** @type {any} */ it) => html`<a href=${href('/admin/keys', { partner: it.id })}>${it.company}</a>` },
    { label: 'Contact', class: 'wide', cell: (/** @type {any} */ it) => it.contactName ?? '–' },
    { label: 'Status', cell: (/** @type {any} */ it) => html`<${Status} status=${it.status} />` },
  ]} />`;
}

/** @param {{rows: import('../../lib/types').EndpointUsage[]}} props */
function TopEndpoints({ rows }) {
  if (!rows.length) return html`<${Empty}>There are no calls yet.<//>`;
  return html`<${Table} caption="Top endpoints" rows=${rows.slice(0, 6)} id=${(/** @type {any} */ it) => it.method + it.endpoint} columns=${[
    { label: 'Endpoint', class: 'wide', cell: (/** @type {any} */ it) => html`<a href=${href('/admin/activity', { method: it.method, endpoint: it.endpoint })}><${Method} method=${it.method} /> <${Path} path=${it.endpoint} /></a>` },
    { label: 'Calls', class: 'number', cell: (/** @type {any} */ it) => formatNumber(it.calls) },
    { label: 'Errors', class: 'number', cell: (/** @type {any} */ it) => formatNumber(it.errors) },
    { label: 'Avg', class: 'number', cell: (/** @type {any} */ it) => formatDuration(it.avgDurationMs) },
  ]} />`;
}
