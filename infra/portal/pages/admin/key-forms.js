// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, postOnce } from '../../lib/api.js';
import { ALL_SCOPES } from '../../lib/scopes.js';
import { Dialog } from '../../parts/dialog.js';
import { Checks, Field, useForm } from '../../parts/field.js';
import { Failure } from '../../parts/state.js';
import { say } from '../../parts/toasts.js';
import { WhatPartnerHas } from './what-partner-has.js';

/** @typedef {import('../../lib/types').Key} Key */
/** @typedef {import('../../lib/types').NewKey} NewKey */

/** Converts the local time of a `datetime-local` input to RFC 3339. @param {string} text */
export const instant = (text) => (text ? new Date(text).toISOString() : null);

/** @param {string | null} at */
function localInput(at) {
  if (!at) return '';
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} text */
export const lines = (text) => text.split(/[\s,]+/).filter(Boolean);

/**
 * @param {{keyRow: Key | null, partner: string, partners: [string, string][], practices: string[], onClose: () => void, onDone: (key: NewKey | null) => void}} props
 */
export function KeyDialog({ keyRow, partner, partners, practices, onClose, onDone }) {
  const [scopes, setScopes] = useState(keyRow?.scopes ?? ['Prospects']);
  const [partnerId, setPartnerId] = useState(partner);
  const { busy, error, onSubmit } = useForm(async (values, once) => {
    const terms = {
      name: values.name,
      scopes,
      expiresAt: instant(values.expiresAt),
      allowedCidrs: lines(values.allowedCidrs),
      rateLimit: Number(values.rateLimit),
    };
    if (keyRow) {
      // An unchanged expiry must not be validated again, nor lose its seconds.
      const { expiresAt, ...others } = terms;
      const changed = values.expiresAt === localInput(keyRow.expiresAt) ? others : terms;
      await call('PATCH', `/v1/admin/keys/${encodeURIComponent(keyRow.id)}`, changed);
      say('Key updated');
      onDone(null);
    } else {
      const body = { ...terms, partnerId: values.partnerId, practicepass: values.practicepass };
      onDone((await postOnce('/v1/admin/keys', body, once)).data);
    }
  });
  return html`<${Dialog} title=${keyRow ? `Edit ${keyRow.name}` : 'New API key'} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <${Field} label="Name" name="name" required maxlength="100" value=${keyRow?.name} error=${error} />
      ${!keyRow && html`<div class="pair">
        <${Field} label="Partner" name="partnerId" required value=${partnerId} onInput=${setPartnerId} options=${[['', 'Choose…'], ...partners]} error=${error} />
        <${Field} label="Practice pass" name="practicepass" required list=${practices} error=${error} hint="The practice that the key opens" /></div>`}
      ${!keyRow && partnerId && html`<${WhatPartnerHas} key=${partnerId} id=${partnerId} />`}
      <${Checks} legend="Scopes" name="scopes" options=${ALL_SCOPES} chosen=${scopes} onChange=${setScopes} error=${error} />
      <div class="pair">
        <${Field} label="Expires" name="expiresAt" type="datetime-local" value=${localInput(keyRow?.expiresAt ?? null)} error=${error} hint="In your time zone. Leave empty for no expiry." />
        <${Field} label="Rate limit" name="rateLimit" type="number" min="1" max="100000" required value=${String(keyRow?.rateLimit ?? 600)} error=${error} hint="Calls per minute" />
      </div>
      <${Field} label="Allowed networks" name="allowedCidrs" rows="2" value=${keyRow?.allowedCidrs.join('\n') ?? ''} error=${error} hint="One per line, e.g. 203.0.113.0/24. Leave empty to allow any network." />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy}>${busy ? 'Saving…' : keyRow ? 'Save' : 'Create key'}</button></div>
    </form>
  <//>`;
}

/** @param {{keyRow: Key, onClose: () => void, onDone: (key: NewKey | null) => void}} props */
export function RotateDialog({ keyRow, onClose, onDone }) {
  const { busy, error, onSubmit } = useForm(async ({ overlap }, once) => {
    onDone((await postOnce(`/v1/admin/keys/${encodeURIComponent(keyRow.id)}/rotate`, { overlap }, once)).data);
  });
  return html`<${Dialog} title=${`Rotate ${keyRow.name}`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <p>The key keeps its id, scopes and practice, and gets a new secret.</p>
      <${Field} label="The old secret stays valid for" name="overlap" value="24h" error=${error}
        options=${[['0', 'No overlap (it ends within a minute)'], ['1h', '1 hour'], ['24h', '24 hours'], ['7d', '7 days']]} />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy}>${busy ? 'Rotating…' : 'Rotate'}</button></div>
    </form>
  <//>`;
}
