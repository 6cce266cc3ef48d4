// @ts-check
import { html, useState } from '../vendor/preact.js';
import { call, get } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { Field, useForm } from '../parts/field.js';
import { Card, PageHead } from '../parts/page.js';
import { Awaited, Failure } from '../parts/state.js';
import { say } from '../parts/toasts.js';

/** @typedef {import('../lib/types').Me} Me */

/** @type {[keyof Me & string, string, string][]} Name, label, type. */
const FIELDS = [
  ['company', 'Company', 'text'], ['contactName', 'Contact', 'text'], ['email', 'E-mail', 'email'], ['phone', 'Phone', 'tel'],
  ['website', 'Website', 'url'], ['notificationEmail', 'Notification e-mail', 'email'],
];

export function MyInformation() {
  const me = useLoad((signal) => get('/v1/me', {}, signal), 'me');
  const [editing, setEditing] = useState(false);
  return html`
    <${PageHead} title="My Information" lead="Read and update your own partner information."
      actions=${!editing && me.data && html`<button type="button" class="button primary" onClick=${() => setEditing(true)}>Edit</button>`} />
    <${Card} title="Profile"><${Awaited} load=${me} what="your information">${(/** @type {{data: Me}} */ { data }) => html`<div class="body">${editing
      ? html`<${ProfileForm} me=${data} onClose=${() => setEditing(false)} onSaved=${(/** @type {Me} */ saved) => { me.set({ data: saved }); setEditing(false); }} />`
      : html`<dl class="facts">${FIELDS.map(([name, label]) => html`<dt>${label}</dt><dd>${data[name] ?? html`<span class="muted">Not set</span>`}</dd>`)}
          <dt>Partner id</dt><dd><code>${data.id}</code></dd></dl>`}</div>`}<//><//>`;
}

/** @param {{me: Me, onClose: () => void, onSaved: (me: Me) => void}} props */
function ProfileForm({ me, onClose, onSaved }) {
  const { busy, error, onSubmit } = useForm(async (values) => {
    // Send only the changed fields: another page may be changing the others.
    const changes = FIELDS.map(([name]) => [name, values[name].trim() || null]).filter(([name, value]) => value !== me[/** @type {keyof Me} */ (name)]);
    onSaved((await call('PATCH', '/v1/me', Object.fromEntries(changes))).data);
    say('Your information was saved');
  });
  return html`<form class="form" onSubmit=${onSubmit}>
    <div class="pair">${FIELDS.map(([name, label, type]) => html`<${Field} key=${name} label=${label} name=${name} type=${type} value=${me[name] ?? ''}
      required=${name === 'company'} error=${error} hint=${HINTS[name]} />`)}</div>
    <${Failure} error=${error} />
    <div class="button-row"><button class="button primary" disabled=${busy}>${busy ? 'Saving…' : 'Save'}</button>
      <button type="button" class="button" onClick=${onClose}>Cancel</button></div>
  </form>`;
}

/** @type {Record<string, string>} */
const HINTS = { website: 'https://…', notificationEmail: 'For notifications about your API key and your webhooks' };
