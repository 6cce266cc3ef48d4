// @ts-check
// The table of webhook deliveries, for partners and administrators.
import { html, useState } from '../vendor/preact.js';
import { formatDuration } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Status, StatusCode, Time } from './badges.js';
import { Dialog } from './dialog.js';
import { Awaited, Failure } from './state.js';
import { say } from './toasts.js';

/** @typedef {import('../lib/types').Delivery} Delivery */

/**
 * @param {{read: (id: number, signal: AbortSignal) => Promise<any>, retry: (id: number) => Promise<any>, onRetried: () => void, practice?: boolean}} options
 * @returns {import('./table.js').Column<Delivery>[]}
 */
export function deliveryColumns({ read, retry, onRetried, practice = false }) {
  return [
    { label: 'Time', class: 'nowrap', cell: (it) => html`<${Time} at=${it.createdAt} />` },
    { label: 'Event', class: 'wide', cell: (it) => html`<span>${it.event}<span class="sub mono">${it.eventId}</span></span>` },
    ...(practice ? [{ label: 'PPass', cell: (/** @type {Delivery} */ it) => html`<code>${it.practicepass}</code>` }] : []),
    {
      label: 'Status', cell: (it) => html`<span><${Status} status=${it.status} />
        ${it.nextAttemptAt && html`<span class="sub">next <${Time} at=${it.nextAttemptAt} ago /></span>`}</span>`,
    },
    { label: 'Response', class: 'wide', cell: (it) => html`<span><${StatusCode} code=${it.statusCode} />${it.errorMessage && html`<span class="sub">${it.errorMessage}</span>`}</span>` },
    { label: 'Attempts', class: 'number', cell: (it) => it.attempts },
    { label: 'Duration', class: 'number', cell: (it) => formatDuration(it.durationMs) },
    { label: '', cell: (it) => html`<div class="button-row"><${Retry} id=${it.id} event=${it.eventId} retry=${retry} onRetried=${onRetried} /><${Details} delivery=${it} read=${read} /></div>` },
  ];
}

/** @param {{id: number, event: string, retry: (id: number) => Promise<any>, onRetried: () => void}} props */
function Retry({ id, event, retry, onRetried }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  async function run() {
    setBusy(true);
    try {
      const { message, data } = await retry(id);
      say(data.success ? message : `${message}: ${data.errorMessage ?? `status ${data.statusCode}`}`);
      onRetried();
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  return html`<button type="button" class="button small" disabled=${busy} aria-label=${`Retry delivery ${id} of ${event}`} onClick=${run}>${busy ? 'Sending…' : 'Retry'}</button>
    ${error && html`<${Dialog} title=${`Delivery ${id} was not retried`} onClose=${() => setError(null)}><${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${() => setError(null)}>Close</button></div><//>`}`;
}

/** A button that shows each attempt and the endpoint's response. @param {{delivery: Delivery, read: (id: number, signal: AbortSignal) => Promise<any>}} props */
function Details({ delivery, read }) {
  const [open, setOpen] = useState(false);
  return html`<button type="button" class="button small quiet" aria-label=${`Details of delivery ${delivery.id} of ${delivery.eventId}`} onClick=${() => setOpen(true)}>Details</button>
    ${open && html`<${DetailsDialog} delivery=${delivery} read=${read} onClose=${() => setOpen(false)} />`}`;
}

/** @param {{delivery: Delivery, read: (id: number, signal: AbortSignal) => Promise<any>, onClose: () => void}} props */
function DetailsDialog({ delivery, read, onClose }) {
  const load = useLoad((signal) => read(delivery.id, signal), `delivery ${delivery.id}`);
  return html`<${Dialog} title=${`Delivery ${delivery.id} of ${delivery.eventId}`} onClose=${onClose}>
    <${Awaited} load=${load} what="attempts">${(/** @type {{data: import('../lib/types').DeliveryDetail}} */ { data }) => html`
      <p><${Status} status=${data.status} /> ${data.nextAttemptAt && html`<span class="muted small">next attempt <${Time} at=${data.nextAttemptAt} /></span>`}</p>
      ${data.attemptLog.length ? data.attemptLog.map((it) => html`<section class="stack"><dl class="facts">
        <dt>Attempt</dt><dd><${Time} at=${it.at} /></dd><dt>Response</dt><dd><${StatusCode} code=${it.statusCode} /> after ${formatDuration(it.durationMs)}</dd>
        ${it.errorMessage && html`<dt>Error</dt><dd>${it.errorMessage}</dd>`}</dl>
        ${it.answer && html`<pre tabindex="0" aria-label="Response of the endpoint">${it.answer}</pre>`}</section>`) : html`<p class="muted">No attempt has been completed yet.</p>`}`}<//>
    <div class="button-row"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
