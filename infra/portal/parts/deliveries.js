// @ts-check
// Webhook deliveries, as partners and administrators see them.
import { html, useState } from '../vendor/preact.js';
import { formatDuration } from '../lib/format.js';
import { Status, StatusCode, Time } from './badges.js';
import { say } from './toasts.js';

/** @typedef {import('../lib/types').Delivery} Delivery */

/**
 * @param {{retry: (id: number) => Promise<any>, onRetried: () => void, practice?: boolean}} options
 * @returns {import('./table.js').Column<Delivery>[]}
 */
export function deliveryColumns({ retry, onRetried, practice = false }) {
  return [
    { label: 'Time', class: 'nowrap', cell: (it) => html`<${Time} at=${it.createdAt} />` },
    { label: 'Event', class: 'wide', cell: (it) => html`<span>${it.event}<span class="sub mono">${it.eventId}</span></span>` },
    ...(practice ? [{ label: 'PPass', cell: (/** @type {Delivery} */ it) => html`<code>${it.practicepass}</code>` }] : []),
    {
      label: 'Status', cell: (it) => html`<span><${Status} status=${it.status} />
        ${it.nextAttemptAt && html`<span class="sub">next <${Time} at=${it.nextAttemptAt} ago /></span>`}</span>`,
    },
    { label: 'Answer', class: 'wide', cell: (it) => html`<span><${StatusCode} code=${it.statusCode} />${it.errorMessage && html`<span class="sub">${it.errorMessage}</span>`}</span>` },
    { label: 'Attempts', class: 'number', cell: (it) => it.attempts },
    { label: 'Duration', class: 'number', cell: (it) => formatDuration(it.durationMs) },
    { label: '', cell: (it) => html`<${Retry} id=${it.id} event=${it.eventId} retry=${retry} onRetried=${onRetried} />` },
  ];
}

/** @param {{id: number, event: string, retry: (id: number) => Promise<any>, onRetried: () => void}} props */
function Retry({ id, event, retry, onRetried }) {
  const [busy, setBusy] = useState(false);
  async function run() {
    setBusy(true);
    try {
      const { message, data } = await retry(id);
      say(data.success ? message : `${message}: ${data.errorMessage ?? `status ${data.statusCode}`}`);
      onRetried();
    } catch (error) {
      const { message, requestId } = /** @type {any} */ (error);
      say(`Not retried: ${message}${requestId ? ` (request id ${requestId})` : ''}`);
    }
    setBusy(false);
  }
  return html`<button type="button" class="button small" disabled=${busy} aria-label=${`Retry delivery ${id} of ${event}`} onClick=${run}>${busy ? 'Sending …' : 'Retry'}</button>`;
}
