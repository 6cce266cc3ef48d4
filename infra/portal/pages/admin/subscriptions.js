// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, get } from '../../lib/api.js';
import { usePages } from '../../lib/load.js';
import { Scopes, Status, Time } from '../../parts/badges.js';
import { Confirm } from '../../parts/dialog.js';
import { PagedTable } from '../../parts/table.js';
import { say } from '../../parts/toasts.js';

/** @typedef {import('../../lib/types').AdminSubscription} AdminSubscription */
/** @typedef {{kind: 'pause' | 'resume' | 'delete', subscription: AdminSubscription}} Act */

/** @param {AdminSubscription} it */
const nameOf = (it) => `${it.partner ?? it.partnerId} in ${it.practicepass}`;

/** The subscriptions of all partners, with the actions of administrators. @param {{onChanged: () => void}} props */
export function Subscriptions({ onChanged }) {
  const pages = usePages((cursor, signal) => get('/v1/admin/webhooks', { limit: 25, cursor }, signal), 'subscriptions');
  const [act, setAct] = useState(/** @type {Act | null} */ (null));
  /** @type {import('../../parts/table.js').Column<AdminSubscription>[]} */
  const columns = [
    { label: 'Partner', class: 'wide', cell: (it) => html`<span>${it.partner ?? '–'}<span class="sub">${it.partnerId}</span></span>` },
    { label: 'PPass', cell: (it) => html`<code>${it.practicepass}</code>` },
    { label: 'Endpoint', class: 'wide', cell: (it) => html`<code>${it.hookUrl}</code>` },
    { label: 'Events', class: 'wide', cell: (it) => html`<${Scopes} scopes=${it.scopes} />` },
    { label: 'Status', cell: (it) => html`<span><${Status} status=${it.status} />${it.heldUntil && html`<span class="sub">until <${Time} at=${it.heldUntil} /></span>`}</span>` },
    { label: 'Last success', class: 'nowrap', cell: (it) => html`<${Time} at=${it.lastSuccessAt} ago />` },
    { label: 'Last error', class: 'wide', cell: (it) => (it.lastError ? html`<span>${it.lastError.message ?? '–'}<span class="sub"><${Time} at=${it.lastError.at} ago /></span></span>` : '–') },
    {
      label: '',
      cell: (it) => html`<div class="button-row">
        ${it.pausedAt
          ? html`<button type="button" class="button small" aria-label=${`Resume ${nameOf(it)}`} onClick=${() => setAct({ kind: 'resume', subscription: it })}>Resume</button>`
          : html`<button type="button" class="button small" aria-label=${`Pause ${nameOf(it)}`} onClick=${() => setAct({ kind: 'pause', subscription: it })}>Pause</button>`}
        <button type="button" class="button small" aria-label=${`Delete the subscription of ${nameOf(it)}`} onClick=${() => setAct({ kind: 'delete', subscription: it })}>Delete</button></div>`,
    },
  ];
  async function run() {
    if (!act) return;
    const path = `/v1/admin/webhooks/${act.subscription.id}`;
    if (act.kind === 'delete') await call('DELETE', path);
    else await call('POST', `${path}/${act.kind}`);
    say({ pause: 'Subscription paused', resume: 'Subscription resumed', delete: 'Subscription deleted' }[act.kind]);
    pages.reload();
    onChanged();
  }
  return html`<section class="card"><header><h2>Subscriptions</h2></header>
    <${PagedTable} pages=${pages} what="subscriptions" caption="Subscriptions" columns=${columns} id=${(/** @type {AdminSubscription} */ it) => it.id}
      empty="No partner has subscribed yet." />
    ${act && html`<${Confirmation} key=${`${act.kind} ${act.subscription.id}`} act=${act} work=${run} onClose=${() => setAct(null)} />`}
  </section>`;
}

/** @param {{act: Act, work: () => Promise<void>, onClose: () => void}} props */
function Confirmation({ act: { kind, subscription }, work, onClose }) {
  const of = nameOf(subscription);
  if (kind === 'pause') {
    return html`<${Confirm} title=${`Pause webhooks of ${of}?`} action="Pause" work=${work} onClose=${onClose}>
      <p>Nothing is sent until the subscription is resumed. Deliveries resume automatically if that happens within about a day.</p><//>`;
  }
  if (kind === 'resume') {
    return html`<${Confirm} title=${`Resume webhooks of ${of}?`} action="Resume" work=${work} onClose=${onClose}>
      <p>Deliveries held back by the pause are sent gradually. None waits longer than it has already waited.</p><//>`;
  }
  return html`<${Confirm} title=${`Delete the subscription of ${of}?`} action="Delete" danger work=${work} onClose=${onClose}>
    <p>Nothing more is sent, not even waiting retries. The partner can sign up again if it has access.</p><//>`;
}
