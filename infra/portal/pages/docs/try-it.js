// @ts-check
// Makes a real call with the session. A call that changes something asks first: the practice's data
// is real.
import { html, useEffect, useState } from '../../vendor/preact.js';
import { get, send } from '../../lib/api.js';
import { formatDuration } from '../../lib/format.js';
import { StatusCode } from '../../parts/badges.js';
import { CopyButton, RequestId } from '../../parts/copy.js';
import { Confirm } from '../../parts/dialog.js';
import { Field } from '../../parts/field.js';
import { Failure } from '../../parts/state.js';

/** @typedef {import('./description.js').Operation} Operation */
/** @typedef {{status: number, text: string, ms: number, requestId: string}} Answer */

/** Maximum length of the response that is shown. */
const MOST_SHOWN = 100_000;

/** @param {{operation: Operation, body: string | null, user: import('../../lib/session.js').User}} props */
export function TryIt({ operation, body, user }) {
  const [values, setValues] = useState(() => initial(operation, user));
  const [text, setText] = useState(body ?? '');
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const target = targetOf(operation, values);
  useEffect(() => {
    const written = body ?? '';
    void atNextSlot(written, values.PPass).then((filled) => setText((current) => (current === written ? filled : current)));
  }, []);
  async function run() {
    setBusy(true);
    setError(null);
    const started = performance.now();
    try {
      const response = await send(operation.method, target.path, body === null ? undefined : text, { headers: target.headers });
      const content = await response.text();
      setAnswer({ status: response.status, text: pretty(content), ms: performance.now() - started, requestId: response.headers.get('X-Request-Id') ?? '' });
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    if (operation.method === 'GET') void run();
    else setAsking(true);
  }
  return html`<form class="try-it form" onSubmit=${submit} aria-label=${`Try it: ${operation.summary}`}>
    ${operation.parameters.length > 0 && html`<div class="pair">${operation.parameters.map((it) => html`<${Field} key=${it.name} label=${it.name} name=${it.name}
      required=${it.required} value=${values[it.name] ?? ''} readonly=${it.name === 'PPass' && user.role === 'partner'} autocomplete="off"
      hint=${it.name === 'PPass' ? 'Your own practice' : it.in === 'header' ? 'Header, optional' : undefined}
      onInput=${(/** @type {string} */ value) => setValues({ ...values, [it.name]: value })} />`)}</div>`}
    ${body !== null && html`<${Field} label="Body" name="body" rows="8" class="mono" value=${text} onInput=${setText} spellcheck=${false} />`}
    <div class="button-row"><button class="button primary" disabled=${busy}>${busy ? 'Sending…' : `Send ${operation.method}`}</button><code class="small">${target.path}</code></div>
    <${Failure} error=${error} />
    <div role="status">${answer && html`<${AnswerView} answer=${answer} />`}</div>
    ${asking && html`<${Confirm} title=${`Send ${operation.method}?`} action="Send it" work=${run} onClose=${() => setAsking(false)}>
      <p>This changes real data${user.practicepass ? html` of <code>${user.practicepass}</code>` : ''}: <code>${operation.method} ${target.path}</code></p><//>`}
  </form>`;
}

/** @param {{answer: Answer}} props */
function AnswerView({ answer }) {
  const shown = answer.text.slice(0, MOST_SHOWN);
  return html`<div class="block"><div class="block-head"><span><${StatusCode} code=${answer.status} /> <span class="small muted">${formatDuration(answer.ms)}</span></span>
    <${CopyButton} text=${answer.text} label="Copy response" /></div>
    <pre class="answer" tabindex="0" aria-label="Response"><code>${shown}</code></pre>${shown.length < answer.text.length && html`<p class="small muted">The response is truncated here. The copy is complete.</p>`}
    <${RequestId} id=${answer.requestId} /></div>`;
}

/** @param {Operation} operation @param {import('../../lib/session.js').User} user */
function initial(operation, user) {
  const asked = new URLSearchParams(operation.entry?.request?.split('?')[1] ?? '');
  // The reference's dates are in the past. Fill in only what a response requires.
  return Object.fromEntries(operation.parameters.map((it) => {
    if (it.name === 'PPass') return [it.name, user.practicepass ?? 'DemoOffice'];
    if (it.in === 'path') return [it.name, '1'];
    if (!it.required) return [it.name, ''];
    const known = asked.get(it.name) ?? it.example ?? it.schema?.example ?? '';
    return [it.name, /date/i.test(it.name) ? new Date().toISOString().slice(0, 10) : String(known)];
  }));
}

/**
 * Moves the visit of a body to the next time at which it can be booked, if there is one.
 * @param {string} body @param {string | undefined} practice
 */
async function atNextSlot(body, practice) {
  if (!practice || !body.includes('"VisitDate"')) return body;
  try {
    const visit = JSON.parse(body);
    const provider = visit.ProviderID ?? 1;
    const query = { duration: visit.VisitDuration ?? 30, visitType: visit.VisitType };
    const { TheNextSlot: slot } = (await get(`/v1/${practice}/availability/providers/${provider}/next-slot`, query)).data;
    if (!slot) return body;
    const moved = { ...visit, VisitDate: slot.Date, VisitTime: slot.Time, ...(visit.ProviderTime && { ProviderTime: slot.Time }) };
    return JSON.stringify(moved, null, 2);
  } catch {
    // The key may lack the scope. The reader then chooses a time.
    return body;
  }
}

/** @param {Operation} operation @param {Record<string, string>} values */
function targetOf(operation, values) {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ''));
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */
  const headers = {};
  for (const { name, in: place } of operation.parameters) {
    const value = values[name];
    if (!value) continue;
    if (place === 'query') query.set(name, value);
    if (place === 'header') headers[name] = value;
  }
  return { path: query.size ? `${path}?${query}` : path, headers };
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
