// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/api.js';
import { formatDuration } from '../../lib/format.js';
import { Card } from '../../parts/page.js';
import { Failure } from '../../parts/state.js';

/** @param {{onSent: () => void, disabled: boolean}} props */
export function TestEvent({ onSent, disabled }) {
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  async function send() {
    setBusy(true);
    setError(null);
    setResult(null);
    try {
      setResult(await call('POST', '/v1/webhooks/test'));
      onSent();
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  const data = result?.data;
  return html`<${Card} title="Test event" end=${html`<button type="button" class="button small" disabled=${busy || disabled} onClick=${send}>${busy ? 'Sending…' : 'Send a test event'}</button>`}>
    <div class="body stack"><p class="muted">The test event is sent at once and only once, signed like every other event. A failure does not count against your endpoint.</p>
      <${Failure} error=${error} />
      <div role="status">${data && html`<div class=${`notice ${data.success ? 'good' : 'bad'}`}><strong>${result.message}</strong>
        ${data.statusCode !== null && html`<span>Your endpoint returned ${data.statusCode}. </span>`}${data.errorMessage && html`<span>${data.errorMessage} </span>`}
        <span class="small">Event <code>${data.eventId}</code>, ${formatDuration(data.durationMs)}</span></div>`}</div>
    </div><//>`;
}
