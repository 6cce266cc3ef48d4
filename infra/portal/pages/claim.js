// @ts-check
// The page of a claim link. The token follows the '#', so no server receives it before this page
// sends it.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { postOnce } from '../lib/api.js';
import { forgetHash, go } from '../lib/router.js';
import { Scopes } from '../parts/badges.js';
import { StoredSecret } from '../parts/secret.js';
import { Brand } from '../parts/shell.js';
import { Failure } from '../parts/state.js';

/** @param {{query: URLSearchParams}} props */
export function Claim({ query }) {
  const token = useRef(query.get('claim') ?? '');
  const once = useRef(crypto.randomUUID());
  const [key, setKey] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!key) return;
    // Only this page shows the key: leaving it by mistake would lose the key.
    const stay = (/** @type {BeforeUnloadEvent} */ event) => event.preventDefault();
    addEventListener('beforeunload', stay);
    return () => removeEventListener('beforeunload', stay);
  }, [key]);
  async function claim() {
    setBusy(true);
    setError(null);
    try {
      const { data } = await postOnce('/v1/access-requests/claim', { token: token.current }, once.current);
      history.replaceState(null, '', '#/claim');
      setKey(data);
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  function done() {
    setKey(null);
    forgetHash();
    go('/');
  }
  return html`<div class="gate"><main class="card wide"><${Brand} />${content()}</main></div>`;

  function content() {
    if (key) {
      return html`<h1>Your API key</h1>
        <p class="lead">It is shown only once. Store it where only your programs can read it.</p>
        <div class="stack">
          <${StoredSecret} text=${key.apiKey} name="API key" done="Go to the login" onDone=${done}>
            <dl class="facts"><dt>Partner</dt><dd>${key.partner}</dd><dt>Practice pass</dt><dd><code>${key.practicepass}</code></dd>
              <dt>Scopes</dt><dd><${Scopes} scopes=${key.scopes} /></dd><dt>Rate limit</dt><dd>${key.rateLimit} calls per minute</dd></dl>
          <//>
        </div>`;
    }
    if (!token.current) {
      return html`<h1>This link is not valid</h1><p class="lead">Open the complete link from your message, including its last character.</p>
        <p><a href="#/">Back to the login</a></p>`;
    }
    return html`<h1>Claim your API key</h1>
      <p class="lead">Your request was approved. The link works only once: the next step creates your key and shows it only once, so have a safe place for it ready.</p>
      <div class="stack"><${Failure} error=${named(error)} />
        <div class="button-row"><button type="button" class="button primary" disabled=${busy} onClick=${claim}>${busy ? 'One moment…' : 'Show my API key'}</button></div></div>`;
  }
}

/** @param {any} error */
function named(error) {
  if (error?.status !== 404) return error;
  return { title: 'This link is not valid', message: 'It may have expired: links are valid for 72 hours. Ask an administrator for a new one.', requestId: error.requestId };
}
