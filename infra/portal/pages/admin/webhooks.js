// @ts-check
import { html } from '../../vendor/preact.js';
import { call, get } from '../../lib/api.js';
import { formatNumber } from '../../lib/format.js';
import { useLoad } from '../../lib/load.js';
import { changeQuery } from '../../lib/router.js';
import { Status, Time } from '../../parts/badges.js';
import { deliveryColumns } from '../../parts/deliveries.js';
import { Field } from '../../parts/field.js';
import { Card, PageHead } from '../../parts/page.js';
import { Awaited, Empty } from '../../parts/state.js';
import { Table } from '../../parts/table.js';
import { Tile } from '../../parts/tiles.js';
import { DispatchStates } from './dispatch.js';
import { Subscriptions } from './subscriptions.js';

const PAGE = 25;

/** @param {{query: URLSearchParams}} props */
export function WebhookMonitor({ query }) {
  const practicepass = query.get('practicepass') ?? '';
  const success = query.get('success') ?? '';
  const offset = Number(query.get('offset')) || 0;
  const monitor = useLoad((signal) => get('/v1/admin/webhooks/monitor', { practicepass, success, limit: PAGE, offset }, signal), `${practicepass} ${success} ${offset}`);
  const retry = (/** @type {number} */ id) => call('POST', `/v1/admin/webhooks/retry/${id}`);
  const columns = deliveryColumns({ read: (id, signal) => get(`/v1/admin/webhooks/deliveries/${id}`, {}, signal), retry, onRetried: monitor.reload, practice: true });
  return html`
    <${PageHead} title="Webhook Monitor" lead="The delivery of events to partners' endpoints. Recent activity can appear with a short delay."
      actions=${html`<button type="button" class="button" onClick=${monitor.reload}>Refresh</button>`} />
    <${Awaited} load=${monitor} what="webhooks">${(/** @type {import('../../lib/types').Monitor} */ data) => html`<div class="stack">
      <${Figures} data=${data} />
      <section class="card"><header><h2>Recent deliveries</h2></header>
        <div class="filters">
          <${Field} label="PPass" name="practicepass" value=${practicepass} options=${practices(data, practicepass)}
            onInput=${(/** @type {string} */ value) => changeQuery({ practicepass: value, offset: null })} />
          <${Field} label="Outcome" name="success" value=${success} options=${[['', 'All'], ['true', 'Succeeded'], ['false', 'Failed or pending']]}
            onInput=${(/** @type {string} */ value) => changeQuery({ success: value, offset: null })} />
        </div>
        ${data.recentDeliveries.length
          ? html`<${Table} caption="Recent deliveries" columns=${columns} rows=${data.recentDeliveries} id=${(/** @type {any} */ it) => it.id} />`
          : html`<${Empty}>No delivery ${practicepass || success || offset ? 'matches the filters' : 'has been made yet'}.<//>`}
        ${(offset > 0 || data.pagination.hasMore) && html`<div class="more">
          <button type="button" class="button small" disabled=${offset === 0} onClick=${() => changeQuery({ offset: offset > PAGE ? String(offset - PAGE) : null })}>Newer</button>
          <button type="button" class="button small" disabled=${!data.pagination.hasMore} onClick=${() => changeQuery({ offset: String(offset + PAGE) })}>Older</button>
        </div>`}
      </section>
      <${Subscriptions} onChanged=${monitor.reload} />
      <${HeldBack} data=${data} />
      <${DataProblems} data=${data} />
      <div class="columns"><${DispatchStates} data=${data} /><${Disabled} data=${data} /></div>
    </div>`}<//>`;
}

/** @param {import('../../lib/types').Monitor} data @param {string} chosen @returns {[string, string][]} */
function practices(data, chosen) {
  const known = [...data.dispatchStates.map((it) => it.practicepass), ...data.recentDeliveries.map((it) => it.practicepass), chosen].filter(Boolean);
  return [['', 'All practices'], .../** @type {[string, string][]} */ ([...new Set(known)].sort().map((it) => [it, it]))];
}

/** @param {{data: import('../../lib/types').Monitor}} props */
function Figures({ data: { summary, queue } }) {
  const oldest = queue.oldestUndeliveredEvent;
  return html`<div class="tiles">
    <${Tile} name="Subscriptions" value=${`${summary.activeSubscriptions} / ${summary.totalSubscriptions}`} note="Active / total" />
    <${Tile} name="Deliveries" value=${formatNumber(summary.totalDeliveries)} note=${`${formatNumber(summary.failedDeliveries)} have not succeeded`} />
    <${Tile} name="Success Rate" value=${summary.totalDeliveries ? `${summary.successRate}%` : '–'} note=${summary.totalDeliveries ? 'Of all deliveries' : 'Nothing delivered yet'} />
    <${Tile} name="Due Retries" value=${formatNumber(queue.dueRetries)} note=${oldest ? html`Oldest open: ${oldest.eventId}, <${Time} at=${oldest.createdAt} ago />` : 'No delivery is waiting'} />
    <${Tile} name="Dead Letters" value=${queue.deadLetters === null ? '?' : formatNumber(queue.deadLetters)} note=${queue.deadLetters === null ? 'The queue cannot be read right now' : 'The platform failed to process them'} />
  </div>`;
}

/** Endpoints that hang, fail or are slow, whose circuit breakers protect the others. @param {{data: import('../../lib/types').Monitor}} props */
function HeldBack({ data }) {
  return html`<${Card} title="Circuit breakers">${data.breakers.length
    ? html`<${Table} caption="Circuit breakers" rows=${data.breakers} id=${(/** @type {any} */ it) => it.id} columns=${[
        { label: 'PPass', cell: (/** @type {any} */ it) => html`<code>${it.practicepass}</code>` },
        { label: 'Partner', class: 'wide', cell: (/** @type {any} */ it) => it.partnerId },
        { label: 'State', cell: (/** @type {any} */ it) => html`<${Status} status=${it.state} />` },
        { label: 'Failing since', class: 'nowrap', cell: (/** @type {any} */ it) => (it.failingSince ? html`<${Time} at=${it.failingSince} ago />` : '–') },
        { label: 'Slow since', class: 'nowrap', cell: (/** @type {any} */ it) => (it.slowSince ? html`<${Time} at=${it.slowSince} ago />` : '–') },
        { label: 'Held until', class: 'nowrap', cell: (/** @type {any} */ it) => (it.heldUntil ? html`<${Time} at=${it.heldUntil} />` : '–') },
        { label: 'Rate', class: 'nowrap', cell: (/** @type {any} */ it) => (it.rate === null ? '–' : `${formatNumber(it.rate)}/s`) },
      ]} />`
    : html`<${Empty}>All circuit breakers are closed.<//>`}<//>`;
}

/** Rows that the EMR wrote and the API cannot read. @param {{data: import('../../lib/types').Monitor}} props */
function DataProblems({ data }) {
  return html`<${Card} title="Unreadable rows">${data.dataProblems.length
    ? html`<${Table} caption="Unreadable rows" rows=${data.dataProblems} id=${(/** @type {any} */ it) => `${it.practicepass} ${it.table}`} columns=${[
        { label: 'PPass', cell: (/** @type {any} */ it) => (it.practicepass ? html`<code>${it.practicepass}</code>` : 'Catalog') },
        { label: 'Table', class: 'wide', cell: (/** @type {any} */ it) => html`<code>${it.table}</code>` },
        { label: 'Rows', class: 'number', cell: (/** @type {any} */ it) => `${formatNumber(it.count)}${it.count >= 500 ? ' or more' : ''}` },
        { label: 'Last id', cell: (/** @type {any} */ it) => html`<code>${it.lastId}</code>` },
        { label: 'Last seen', class: 'nowrap', cell: (/** @type {any} */ it) => html`<${Time} at=${it.lastSeenAt} ago />` },
      ]} />`
    : html`<${Empty}>No unreadable rows were found.<//>`}<//>`;
}

/** @param {{data: import('../../lib/types').Monitor}} props */
function Disabled({ data }) {
  return html`<${Card} title="Disabled subscriptions">${data.disabledSubscriptions.length
    ? html`<${Table} caption="Disabled subscriptions" rows=${data.disabledSubscriptions} id=${(/** @type {any} */ it) => it.id} columns=${[
        { label: 'PPass', cell: (/** @type {any} */ it) => html`<code>${it.practicepass}</code>` },
        { label: 'Partner', class: 'wide', cell: (/** @type {any} */ it) => it.partnerId },
        { label: 'Reason', class: 'wide', cell: (/** @type {any} */ it) => it.reason ?? '–' },
        { label: 'Since', class: 'nowrap', cell: (/** @type {any} */ it) => html`<${Time} at=${it.since} ago />` },
      ]} />`
    : html`<${Empty}>No subscription is disabled.<//>`}<//>`;
}
