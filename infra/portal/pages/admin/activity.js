// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { saveCsv } from '../../lib/download.js';
import { useEvery, usePages } from '../../lib/load.js';
import { changeQuery, go } from '../../lib/router.js';
import { isAttended } from '../../lib/session.js';
import { RequestId } from '../../parts/copy.js';
import { Dialog } from '../../parts/dialog.js';
import { PageHead } from '../../parts/page.js';
import { Failure } from '../../parts/state.js';
import { PagedTable } from '../../parts/table.js';
import { say } from '../../parts/toasts.js';
import { ActivityFilters, FILTERS } from './activity-filters.js';
import { CALL_COLUMNS, callId } from './columns.js';
import { formatDuration, formatTime } from '../../lib/format.js';

/** @typedef {import('../../lib/types').Call} Call */

/** How often the live tail checks for new calls, in milliseconds. */
const TAIL = 3000;

/** @param {{query: URLSearchParams}} props */
export function Activity({ query }) {
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? '']));
  const key = JSON.stringify(filter);
  const pages = usePages((cursor, signal) => get('/v1/admin/activity', { ...filter, limit: 50, cursor }, signal), key);
  const live = query.get('live') === '1';
  const [saving, setSaving] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const [shown, setShown] = useState(/** @type {Call | null} */ (null));
  // Wait for a slow response: a reload would drop it, every time.
  useEvery(() => isAttended() && !pages.loading && pages.reload(), TAIL, live);
  async function save() {
    setSaving(true);
    setError(null);
    try {
      const all = await saveCsv('/v1/admin/activity', filter, `activity-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.csv`);
      say(all ? 'Saved as CSV' : 'Saved the newest calls as CSV. Narrow the filters to save the others.');
    } catch (failed) {
      setError(failed);
    }
    setSaving(false);
  }
  const columns = [...CALL_COLUMNS, {
    label: '',
    cell: (/** @type {Call} */ call) => html`<button type="button" class="button small quiet" aria-label=${`Details of the call at ${formatTime(call.time)}`} onClick=${() => setShown(call)}>Details</button>`,
  }];
  const filtered = FILTERS.some((name) => filter[name]);
  return html`
    <${PageHead} title="Recent Activity" lead="Every call of the last 90 days, including failed ones. Only the route is stored, never the path or the query." actions=${html`
      <button type="button" class="button" aria-pressed=${live} onClick=${() => changeQuery({ live: live ? null : '1' })}>${live ? 'Stop live tail' : 'Live tail'}</button>
      <button type="button" class="button" disabled=${saving} onClick=${save}>${saving ? 'Saving…' : 'Download CSV'}</button>`} />
    <div class="stack">
      <${Failure} error=${error} />
      <section class="card">
        <${ActivityFilters} filter=${filter} />
        ${filtered && html`<div class="more"><button type="button" class="button small" onClick=${() => go('/admin/activity', { live: live ? '1' : null })}>Clear filters</button>
          <span class="muted small">The filters are part of this page's URL.</span></div>`}
        <${PagedTable} pages=${pages} what="logs" caption="Recent Activity" columns=${columns} id=${callId}
          empty=${pages.hasMore ? 'None of the newest calls matches the filters. Show more to search older calls.' : filtered ? 'No call matches the filters.' : 'There are no calls yet.'} />
      </section>
    </div>
    ${shown && html`<${CallDetails} call=${shown} onClose=${() => setShown(null)} />`}`;
}

/** @param {{call: Call, onClose: () => void}} props */
function CallDetails({ call, onClose }) {
  /** @type {[string, any][]} */
  const facts = [
    ['Time', `${formatTime(call.time)} (${call.time})`], ['Call', `${call.method} ${call.endpoint}`], ['Status', call.status],
    ['Duration', formatDuration(call.durationMs)], ['Partner', call.partner], ['Key', call.keyName], ['Attempted key id', call.attemptedKeyId], ['Practice pass', call.practicepass],
    ['IP', call.ip],
  ];
  return html`<${Dialog} title="Call" onClose=${onClose}>
    <dl class="facts">${facts.filter(([, value]) => value !== null).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    <${RequestId} id=${call.requestId} />
    <div class="button-row"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
