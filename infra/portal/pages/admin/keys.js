// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, get } from '../../lib/api.js';
import { useLoad, usePages } from '../../lib/load.js';
import { labelOf, partnersToChoose } from '../../lib/partners.js';
import { changeQuery } from '../../lib/router.js';
import { Confirm } from '../../parts/dialog.js';
import { Field } from '../../parts/field.js';
import { PageHead } from '../../parts/page.js';
import { SecretDialog } from '../../parts/secret.js';
import { PagedTable } from '../../parts/table.js';
import { say } from '../../parts/toasts.js';
import { KEY_COLUMNS } from './columns.js';
import { KeyDialog, RotateDialog } from './key-forms.js';

/** @typedef {import('../../lib/types').Key} Key */
/** @typedef {import('../../lib/types').NewKey} NewKey */

/** @param {{query: URLSearchParams}} props */
export function Keys({ query }) {
  const partner = query.get('partner') ?? '';
  const pages = usePages((cursor, signal) => get('/v1/admin/keys', { limit: 25, cursor, partnerId: partner }, signal), `keys ${partner}`);
  const partners = useLoad(partnersToChoose, 'partners');
  const [act, setAct] = useState(/** @type {{kind: 'create' | 'edit' | 'rotate' | 'revoke', key?: Key} | null} */ (null));
  const [shown, setShown] = useState(/** @type {NewKey | null} */ (null));
  const close = () => setAct(null);
  /** @param {NewKey | null} key */
  function done(key) {
    setAct(null);
    setShown(key);
    pages.reload();
  }
  const columns = [...KEY_COLUMNS, {
    label: '',
    cell: (/** @type {Key} */ key) => key.status === 'revoked' ? null : html`<div class="button-row">
      <button type="button" class="button small" aria-label=${`Edit ${key.name}`} onClick=${() => setAct({ kind: 'edit', key })}>Edit</button>
      <button type="button" class="button small" aria-label=${`Rotate ${key.name}`} onClick=${() => setAct({ kind: 'rotate', key })}>Rotate</button>
      <button type="button" class="button small" aria-label=${`Revoke ${key.name}`} onClick=${() => setAct({ kind: 'revoke', key })}>Revoke</button></div>`,
  }];
  /** @type {[string, string][]} */
  const choices = (partners.data ?? []).map((it) => [it.id, labelOf(it)]);
  return html`
    <${PageHead} title="API Keys" lead="A key gives one partner access to one practice. Its secret is shown only once, when the key is created or rotated."
      actions=${html`<button type="button" class="button primary" onClick=${() => setAct({ kind: 'create' })}>New key</button>`} />
    <section class="card">
      <div class="filters"><${Field} label="Partner" name="partner" value=${partner} options=${[['', 'All partners'], ...choices]}
        onInput=${(/** @type {string} */ value) => changeQuery({ partner: value })} /></div>
      <${PagedTable} pages=${pages} what="keys" caption="API Keys" columns=${columns} id=${(/** @type {Key} */ key) => key.id}
        empty=${partner ? 'This partner has no keys.' : 'There are no API keys yet.'} />
    </section>
    ${act?.kind === 'create' && html`<${KeyDialog} keyRow=${null} partner=${partner} partners=${choices} practices=${practicesOf(pages.rows)} onClose=${close} onDone=${done} />`}
    ${act?.kind === 'edit' && html`<${KeyDialog} keyRow=${act.key} partner="" partners=${choices} practices=${[]} onClose=${close} onDone=${done} />`}
    ${act?.kind === 'rotate' && html`<${RotateDialog} keyRow=${act.key} onClose=${close} onDone=${done} />`}
    ${act?.kind === 'revoke' && act.key && html`<${Confirm} title=${`Revoke ${act.key.name}?`} action="Revoke permanently" danger onClose=${close} work=${() => revoke(/** @type {Key} */ (act.key))}>
      <p>The key can no longer get tokens, and its existing tokens end within a minute. This cannot be undone.</p><//>`}
    ${shown && html`<${SecretDialog} title="API key" text=${shown.apiKey} name="API key" onClose=${() => setShown(null)}>
      <p class="muted">${shown.name} of ${shown.partner}, for <code>${shown.practicepass}</code>.</p><//>`}`;

  /** @param {Key} key */
  async function revoke(key) {
    await call('POST', `/v1/admin/keys/${encodeURIComponent(key.id)}/revoke`);
    say('Key revoked');
    pages.reload();
  }
}

/** @param {Key[]} rows */
const practicesOf = (rows) => [...new Set(rows.map((key) => key.practicepass))].sort();
