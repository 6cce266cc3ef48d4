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
  Prospects: 'Prospects and their tags', Providers: 'Providers and their availability', Scheduling: 'Visit types; booking, rescheduling and canceling visits',
  'ProductPro.Products': 'Reading and writing the product catalog', KB: 'The knowledge base', Tickets: 'The practice’s tickets',
  Patients: 'Patient events', Encounters: 'Visit events', Claims: 'Claim events', Payments: 'Payment events', Documents: 'Document events',
};

export function MyKey() {
  const me = useLoad((signal) => get('/v1/me', {}, signal), 'me');
  return html`
    <${PageHead} title="My API Key" lead="The key you signed in with. Its secret was shown only once and is not stored. To get a new secret, ask an administrator to rotate the key." />
    <${Awaited} load=${me} what="your key">${(/** @type {{data: import('../lib/types').Me}} */ { data: { key } }) => html`<div class="stack">
      <${Card} title="Key"><div class="body"><dl class="facts">
        <dt>Name</dt><dd>${key.name}</dd><dt>Practice pass</dt><dd><code>${key.practicepass}</code></dd>
        <dt>Rate limit</dt><dd>${formatNumber(key.rateLimit)} calls per minute</dd>
        <dt>Expires</dt><dd>${key.expiresAt ? html`<${Time} at=${key.expiresAt} />` : 'Never'}</dd></dl></div><//>
      <${Card} title="Scopes"><${Table} caption="Scopes" rows=${ALL_SCOPES} id=${(/** @type {string} */ scope) => scope} columns=${[
        { label: 'Scope', cell: (/** @type {string} */ scope) => html`<code>${scope}</code>` },
        { label: 'What it allows', class: 'wide', cell: (/** @type {string} */ scope) => MEANING[scope] },
        { label: 'Your key', cell: (/** @type {string} */ scope) => (key.scopes.includes(scope) ? html`<${Status} status="granted" />` : html`<span class="muted">Not granted</span>`) },
      ]} /><//></div>`}<//>`;
}
