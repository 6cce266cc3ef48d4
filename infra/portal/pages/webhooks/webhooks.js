// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, get } from '../../lib/api.js';
import { formatNumber } from '../../lib/format.js';
import { useLoad } from '../../lib/load.js';
import { Scopes, Status, Time } from '../../parts/badges.js';
import { Confirm } from '../../parts/dialog.js';
import { Card, PageHead } from '../../parts/page.js';
import { SecretDialog } from '../../parts/secret.js';
import { Awaited, Empty } from '../../parts/state.js';
import { say } from '../../parts/toasts.js';
import { Deliveries } from './deliveries.js';
import { SubscriptionForm } from './subscription-form.js';
import { TestEvent } from './test-event.js';

/** @typedef {import('../../lib/types').Subscription} Subscription */

/** @param {{query: URLSearchParams, user: import('../../lib/session.js').User}} props */
export function Webhooks({ query, user }) {
  const subscription = useLoad(readSubscription, 'subscription');
  const [act, setAct] = useState(/** @type {'edit' | 'rotate' | 'delete' | null} */ (null));
  const [secret, setSecret] = useState('');
  const [sent, setSent] = useState(0);
  /** @param {string | undefined} newSecret */
  function saved(newSecret) {
    setAct(null);
    if (newSecret) setSecret(newSecret);
    subscription.reload();
  }
  async function rotate() {
    setSecret((await call('POST', '/v1/webhooks/rotate-secret')).data.secret);
  }
  async function remove() {
    say((await call('DELETE', '/v1/webhooks')).message);
    subscription.reload();
  }
  return html`
    <${PageHead} title="Webhooks" lead="Register a webhook endpoint for OfficePro events sourced from the log table." />
    <div class="stack">
      <${Awaited} load=${subscription} what="your subscription">${(/** @type {{data: Subscription | null}} */ { data }) => data
        ? html`<div class="stack"><${SubscriptionCard} subscription=${data} act=${setAct} />
            <${TestEvent} onSent=${() => setSent((count) => count + 1)} disabled=${data.status !== 'active'} />
            <${Deliveries} query=${query} round=${sent} /></div>`
        : html`<${Card} title="Subscription"><${Empty}>You have no subscription yet. Nothing is sent.
            <div class="button-row center"><button type="button" class="button primary" onClick=${() => setAct('edit')}>Subscribe</button></div><//><//>`}<//>
    </div>
    ${act === 'edit' && html`<${SubscriptionForm} subscription=${subscription.data?.data ?? null} granted=${user.scopes ?? []} onClose=${() => setAct(null)} onSaved=${saved} />`}
    ${act === 'rotate' && html`<${Confirm} title="Replace the signing secret?" action="Replace" work=${rotate} onClose=${() => setAct(null)}>
      <p>The old secret stays valid for 24 hours: until then each delivery is signed with both.</p><//>`}
    ${act === 'delete' && html`<${Confirm} title="Delete the subscription?" action="Delete" danger work=${remove} onClose=${() => setAct(null)}>
      <p>Nothing more is sent, not even waiting retries. Signing up again creates a new secret.</p><//>`}
    ${secret && html`<${SecretDialog} title="Signing secret" text=${secret} name="Signing secret" onClose=${() => setSecret('')}>
      <p class="muted">It verifies the <code>webhook-signature</code> of each delivery (Standard Webhooks).</p><//>`}`;
}

/** Reads the subscription, or null if there is none. @param {AbortSignal} signal */
async function readSubscription(signal) {
  try {
    return await get('/v1/webhooks', {}, signal);
  } catch (error) {
    if (/** @type {any} */ (error).status === 404) return { data: null };
    throw error;
  }
}

/** @type {Record<string, string>} */
const REASONS = { ENDPOINT_GONE: 'Your endpoint returned 410 Gone.', ONLY_FAILURES: 'Every attempt failed for 5 days.' };

/** @param {{subscription: Subscription, act: (act: 'edit' | 'rotate' | 'delete') => void}} props */
function SubscriptionCard({ subscription: it, act }) {
  return html`<${Card} title="Subscription" end=${html`<${Status} status=${it.status} />`}><div class="body stack">
    ${it.status === 'disabled' && html`<div class="notice bad"><strong>Delivery has stopped.</strong>
      ${REASONS[it.disabledReason ?? ''] ?? it.disabledReason} To resume, change and save the subscription.</div>`}
    ${it.status === 'paused' && html`<div class="notice warn"><strong>Nothing is sent.</strong> An administrator paused the subscription.</div>`}
    ${it.status === 'suspended' && html`<div class="notice warn"><strong>Nothing is sent.</strong> None of your valid keys grants these events. Deliveries resume automatically when one does.</div>`}
    ${it.status === 'active' && it.suspendedScopes.length > 0 && html`<div class="notice warn"><strong>Some events are not sent.</strong> None of your valid keys grants ${it.suspendedScopes.join(', ')}.</div>`}
    ${it.failingSince && it.status === 'active' && html`<div class="notice warn"><strong>Your endpoint is failing.</strong> Every attempt since <${Time} at=${it.failingSince} /> has failed. After 5 days of failures, nothing more is sent.</div>`}
    <dl class="facts"><dt>Endpoint</dt><dd><code>${it.hookUrl}</code></dd><dt>Events</dt><dd><${Scopes} scopes=${it.scopes} /></dd>
      <dt>Since</dt><dd><${Time} at=${it.createdAt} /></dd>
      ${it.heldUntil && html`<dt>Held until</dt><dd><${Time} at=${it.heldUntil} /></dd>`}
      ${it.rate !== null && html`<dt>Rate</dt><dd>${formatNumber(it.rate)} a second, since your endpoint returned 429</dd>`}
      <dt>Last success</dt><dd>${it.lastSuccessAt ? html`<${Time} at=${it.lastSuccessAt} />` : 'None yet'}</dd>
      ${it.lastError && html`<dt>Last error</dt><dd><${Time} at=${it.lastError.at} />: ${it.lastError.message ?? it.lastError.statusCode}</dd>`}</dl>
    <div class="button-row">
      <button type="button" class="button" onClick=${() => act('edit')}>Change</button>
      <button type="button" class="button" onClick=${() => act('rotate')}>Replace secret</button>
      <button type="button" class="button" onClick=${() => act('delete')}>Delete</button></div></div><//>`;
}
