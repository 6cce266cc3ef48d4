// @ts-check
import { html } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { formatTime } from '../../lib/format.js';
import { useLoad } from '../../lib/load.js';
import { Time } from '../../parts/badges.js';
import { Failure } from '../../parts/state.js';

/** What the chosen partner already has, and its changes to its own company and e-mail. @param {{id: string}} props */
export function WhatPartnerHas({ id }) {
  const found = useLoad((signal) => get(`/v1/admin/partners/${encodeURIComponent(id)}`, {}, signal), `partner ${id}`);
  if (found.error) return html`<${Failure} error=${found.error} />`;
  /** @type {import('../../lib/types').PartnerDetail | undefined} */
  const partner = found.data?.data;
  if (!partner) return html`<p class="notice">Loading partner…</p>`;
  const changes = partner.identityChanges.flatMap((it) => it.changes.map((change) => ({ ...change, time: it.time })));
  return html`<div class="notice"><p>This partner has:</p><dl class="facts">
    <dt>Keys</dt><dd>${partner.keys.map((key) => `${key.name} (${key.practicepass}${key.expiresAt ? `, until ${formatTime(key.expiresAt)}` : ''})`).join(', ') || 'None'}</dd>
    <dt>Practices</dt><dd>${partner.practices.join(', ') || 'None'}</dd>
    <dt>Webhooks</dt><dd>${partner.subscriptions.map((it) => `${it.practicepass}: ${it.hookUrl} (${it.status})`).join(', ') || 'None'}</dd>
    <dt>Changes by the partner</dt><dd>${changes.length ? changes.map((it) => html`<div>${it.field}: ${it.from ?? 'none'} → ${it.to ?? 'none'}, <${Time} at=${it.time} /></div>`) : 'None'}</dd>
  </dl></div>`;
}
