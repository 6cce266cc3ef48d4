// @ts-check
import { html } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { changeQuery } from '../lib/router.js';
import { UsagePanel } from '../parts/chart.js';
import { Field } from '../parts/field.js';
import { PageHead } from '../parts/page.js';
import { Awaited } from '../parts/state.js';
import { UsageTiles } from '../parts/tiles.js';

/** @param {{query: URLSearchParams}} props */
export function Usage({ query }) {
  const days = query.get('days') ?? '7';
  const usage = useLoad((signal) => get('/v1/me/usage', { days }, signal), days);
  return html`
    <${PageHead} title="Usage" lead="Calls with any of your keys. A call appears within seconds." actions=${html`
      <${Field} label="Period" name="days" value=${days} options=${[['7', 'Last 7 days'], ['14', 'Last 14 days'], ['30', 'Last 30 days']]}
        onInput=${(/** @type {string} */ value) => changeQuery({ days: value })} />`} />
    <${Awaited} load=${usage} what="usage">${(/** @type {{data: import('../lib/types').UsageSummary}} */ { data }) => html`<div class="stack">
      <${UsageTiles} usage=${data} /><${UsagePanel} title=${`API Usage (Last ${data.days.length} Days)`} days=${data.days} /></div>`}<//>`;
}
