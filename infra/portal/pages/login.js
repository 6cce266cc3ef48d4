// @ts-check
import { html, useEffect } from '../vendor/preact.js';
import { signIn } from '../lib/session.js';
import { RequestId } from '../parts/copy.js';
import { Field, useForm } from '../parts/field.js';
import { Brand } from '../parts/shell.js';
import { Failure } from '../parts/state.js';

const SUPPORT = 'support@naturaesoft.com';

/** @param {{expired: boolean}} props */
export function Login({ expired }) {
  const { busy, error, onSubmit } = useForm(async ({ accessKey }) => signIn(accessKey.trim()));
  // Measures how long the first page takes to become interactive.
  useEffect(() => void performance.mark('interactive'), []);
  const refused = error && (error.code === 'INVALID_ACCESS_KEY' || error.code === 'INVALID_FIELDS');
  return html`<div class="gate"><main class="card">
    <${Brand} />
    <h1>Partner Portal Login</h1>
    <p class="lead">Please enter your API Key or Admin Secret to continue.</p>
    <form class="form" onSubmit=${onSubmit}>
      ${expired && !error && html`<div class="notice warn" role="status">Your session has ended. Sign in again to continue where you left off.</div>`}
      <input type="text" name="username" autocomplete="username" value="OfficePro Partner Portal" hidden readonly />
      <${Field} label="API Key or Admin Secret" name="accessKey" type="password" required autocomplete="current-password" spellcheck=${false}
        error=${refused ? { errors: [{ location: 'accessKey', message: 'Invalid access key' }] } : null} autofocus />
      ${refused && html`<span class="hidden-text" role="alert">Invalid access key</span><${RequestId} id=${error.requestId} />`}
      ${!refused && html`<${Failure} error=${error} />`}
      <button class="button primary" disabled=${busy}>${busy ? 'Signing in…' : 'Continue'}</button>
    </form>
    <p class="aside">No key yet? <a href="#/request-access">Request access</a></p>
    <p class="beta"><strong>Beta Version:</strong> Report issues to <a href=${`mailto:${SUPPORT}`}>${SUPPORT}</a>.</p>
  </main></div>`;
}
