// @ts-check
import { html, useState } from '../vendor/preact.js';
import { postOnce } from '../lib/api.js';
import { API_SCOPES, EVENT_SCOPES } from '../lib/scopes.js';
import { Checks, Field, useForm } from '../parts/field.js';
import { Brand } from '../parts/shell.js';
import { Failure } from '../parts/state.js';

export function RequestAccess() {
  const [scopes, setScopes] = useState(['Prospects']);
  const [events, setEvents] = useState(/** @type {string[]} */ ([]));
  const [sentFor, setSentFor] = useState('');
  const { busy, error, onSubmit } = useForm(async ({ company, practice, contact, email, message }, once) => {
    const body = { company, practice, contact, email, requestedScopes: [...scopes, ...events], message: message || null };
    await postOnce('/v1/access-requests', body, once);
    setSentFor(email);
  });
  if (sentFor) {
    return html`<div class="gate"><main class="card">
      <${Brand} />
      <h1>Request received</h1>
      <p class="lead" role="status">It is now <strong>pending</strong>. An administrator will decide and write to ${sentFor}. If the request is approved, the message contains a single-use link to your API key, valid for 72 hours.</p>
      <p><a href="#/">Back to the login</a></p>
    </main></div>`;
  }
  return html`<div class="gate"><main class="card wide">
    <${Brand} />
    <h1>Request access</h1>
    <p class="lead">Tell us who you are and what you want to build. An administrator replies by e-mail.</p>
    <form class="form" onSubmit=${onSubmit}>
      <div class="pair">
        <${Field} label="Company" name="company" required maxlength="200" autocomplete="organization" error=${error} />
        <${Field} label="Practice" name="practice" required maxlength="200" error=${error} hint="Its practice pass if you know it, otherwise its name" />
        <${Field} label="Contact" name="contact" required maxlength="200" autocomplete="name" error=${error} />
        <${Field} label="E-mail" name="email" type="email" required maxlength="254" autocomplete="email" error=${error} />
      </div>
      <${Checks} legend="Requested scopes" name="requestedScopes" options=${API_SCOPES} chosen=${scopes} onChange=${setScopes} error=${error} />
      <${Checks} legend="Webhook events" name="events" options=${EVENT_SCOPES} chosen=${events} onChange=${setEvents} />
      <${Field} label="Message" name="message" rows="4" maxlength="2000" error=${error} hint="Optional: what you will use the data for" />
      <${Failure} error=${error} />
      <div class="button-row"><button class="button primary" disabled=${busy}>${busy ? 'Sending…' : 'Request access'}</button><a href="#/">Back to the login</a></div>
    </form>
  </main></div>`;
}
