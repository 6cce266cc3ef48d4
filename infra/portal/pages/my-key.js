// @ts-check
import { html } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { formatNumber } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { ALL_SCOPES } from '../lib/scopes.js';
import { Status, Time } from '../parts/badges.js';
import { Card, PageHead } from '../parts/page.js';
import { Awaited } from '../parts/state.js';
import { Table } from '../parts/table.js';

/** @type {Record<string, string>} */
const MEANING = {
  Prospects: 'Prospects and their tags', Providers: 'Providers and their availability', Scheduling: 'Visit types, booking, moving and cancelling visits',
  'ProductPro.Products': 'The product catalog, reading and writing', KB: 'The knowledge base', Tickets: 'The practice’s tickets',
  Patients: 'Events of patients', Encounters: 'Events of visits', Claims: 'Events of claims', Payments: 'Events of payments', Documents: 'Events of documents',
};

export function MyKey() {
  const me = useLoad((signal) => get('/v1/me', {}, signal), 'me');
  return html`
    <${PageHead} title="My API Key" lead="The key you signed in with. Its secret was shown once and is kept nowhere; ask an administrator to rotate it." />
    <${Awaited} load=${me} what="your key">${(/** @type {{data: import('../lib/types').Me}} */ { data: { key } }) => html`<div class="stack">
      <${Card} title="Key"><div class="body"><dl class="facts">
        <dt>Name</dt><dd>${key.name}</dd><dt>Practice pass</dt><dd><code>${key.practicepass}</code></dd>
        <dt>Rate limit</dt><dd>${formatNumber(key.rateLimit)} calls a minute</dd>
        <dt>Expires</dt><dd>${key.expiresAt ? html`<${Time} at=${key.expiresAt} />` : 'Never'}</dd></dl></div><//>
      <${Card} title="Scopes"><${Table} caption="Scopes" rows=${ALL_SCOPES} id=${(/** @type {string} */ scope) => scope} columns=${[
        { label: 'Scope', cell: (/** @type {string} */ scope) => html`<code>${scope}</code>` },
        { label: 'What it allows', class: 'wide', cell: (/** @type {string} */ scope) => MEANING[scope] },
        { label: 'Your key', cell: (/** @type {string} */ scope) => (key.scopes.includes(scope) ? html`<${Status} status="granted" />` : html`<span class="muted">Not granted</span>`) },
      ]} /><//></div>`}<//>`;
}
