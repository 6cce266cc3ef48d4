// @ts-check
import { html } from '../../vendor/preact.js';
import { call, get } from '../../lib/api.js';
import { usePages } from '../../lib/load.js';
import { changeQuery } from '../../lib/router.js';
import { deliveryColumns } from '../../parts/deliveries.js';
import { Field } from '../../parts/field.js';
import { PagedTable } from '../../parts/table.js';

/** @param {{query: URLSearchParams, round: number}} props `round` changes when there is a new delivery. */
export function Deliveries({ query, round }) {
  const success = query.get('success') ?? '';
  const pages = usePages((cursor, signal) => get('/v1/webhooks/deliveries', { success, limit: 25, cursor }, signal), `deliveries ${success} ${round}`);
  const retry = (/** @type {number} */ id) => call('POST', `/v1/webhooks/deliveries/${id}/retry`);
  return html`<section class="card"><header><h2>Deliveries</h2><div class="end"><button type="button" class="button small" onClick=${pages.reload}>Refresh</button></div></header>
    <div class="filters"><${Field} label="Outcome" name="success" value=${success} options=${[['', 'All'], ['true', 'Succeeded'], ['false', 'Failed or pending']]}
      onInput=${(/** @type {string} */ value) => changeQuery({ success: value })} /></div>
    <${PagedTable} pages=${pages} what="deliveries" caption="Deliveries" columns=${deliveryColumns({ read: (id, signal) => get(`/v1/webhooks/deliveries/${id}`, {}, signal), retry, onRetried: pages.reload })} id=${(/** @type {any} */ it) => it.id}
      empty=${success ? 'No delivery matches the filter.' : 'Nothing has been sent in the last 30 days.'} /></section>`;
}
