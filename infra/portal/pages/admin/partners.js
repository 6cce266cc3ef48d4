// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, get, postOnce } from '../../lib/api.js';
import { usePages } from '../../lib/load.js';
import { href } from '../../lib/router.js';
import { Status, Time } from '../../parts/badges.js';
import { Dialog } from '../../parts/dialog.js';
import { Field, useForm } from '../../parts/field.js';
import { PageHead } from '../../parts/page.js';
import { Failure } from '../../parts/state.js';
import { PagedTable } from '../../parts/table.js';
import { say } from '../../parts/toasts.js';

/** @typedef {import('../../lib/types').Partner} Partner */

export function Partners() {
  const pages = usePages((cursor, signal) => get('/v1/admin/partners', { limit: 25, cursor }, signal), 'partners');
  const [edited, setEdited] = useState(/** @type {Partner | 'new' | null} */ (null));
  /** @type {import('../../parts/table.js').Column<Partner>[]} */
  const columns = [
    { label: 'Company', class: 'wide', cell: (it) => html`<span>${it.company}${it.website && html`<span class="sub">${it.website}</span>`}${it.identityChangedAt && html`<span class="sub">changed by the partner <${Time} at=${it.identityChangedAt} ago /></span>`}</span>` },
    { label: 'Contact', class: 'wide', cell: (it) => html`<span>${it.contactName ?? '–'}<span class="sub">${it.email}</span></span>` },
    { label: 'Phone', cell: (it) => it.phone ?? '–' },
    { label: 'Status', cell: (it) => html`<${Status} status=${it.status} />` },
    { label: 'Since', class: 'nowrap', cell: (it) => html`<${Time} at=${it.createdAt} ago />` },
    {
      label: '',
      cell: (it) => html`<div class="button-row">
        <button type="button" class="button small" onClick=${() => setEdited(it)} aria-label=${`Edit ${it.company}`}>Edit</button>
        <a class="button small" href=${href('/admin/keys', { partner: it.id })} aria-label=${`Keys of ${it.company}`}>Keys</a>
        <a class="button small" href=${href('/admin/activity', { partner: it.id })} aria-label=${`Activity of ${it.company}`}>Activity</a></div>`,
    },
  ];
  return html`
    <${PageHead} title="Partners" lead="Companies that use the API."
      actions=${html`<button type="button" class="button primary" onClick=${() => setEdited('new')}>New partner</button>`} />
    <section class="card"><${PagedTable} pages=${pages} what="partners" caption="Partners" columns=${columns} id=${(/** @type {Partner} */ it) => it.id}
      empty="There are no partners yet." /></section>
    ${edited && html`<${PartnerDialog} partner=${edited === 'new' ? null : edited} onClose=${() => setEdited(null)} onSaved=${() => { setEdited(null); pages.reload(); }} />`}`;
}

const FIELDS = ['company', 'contactName', 'email', 'phone', 'website', 'notificationEmail'];

/** @param {{partner: Partner | null, onClose: () => void, onSaved: () => void}} props */
function PartnerDialog({ partner, onClose, onSaved }) {
  const { busy, error, onSubmit } = useForm(async (values, once) => {
    /** @type {Record<string, string | null>} */
    const given = Object.fromEntries(FIELDS.map((name) => [name, values[name].trim() || null]));
    if (partner) {
      const changes = Object.entries({ ...given, status: values.status }).filter(([name, value]) => value !== /** @type {any} */ (partner)[name]);
      await call('PATCH', `/v1/admin/partners/${encodeURIComponent(partner.id)}`, Object.fromEntries(changes));
    } else {
      await postOnce('/v1/admin/partners', given, once);
    }
    say(partner ? 'Partner updated' : 'Partner registered');
    onSaved();
  });
  return html`<${Dialog} title=${partner ? `Edit ${partner.company}` : 'New partner'} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <${Field} label="Company" name="company" required maxlength="200" value=${partner?.company} error=${error} />
      <div class="pair">
        <${Field} label="Contact" name="contactName" maxlength="200" value=${partner?.contactName} error=${error} />
        <${Field} label="E-mail" name="email" type="email" value=${partner?.email} error=${error} />
        <${Field} label="Phone" name="phone" type="tel" value=${partner?.phone} error=${error} />
        <${Field} label="Website" name="website" value=${partner?.website} error=${error} hint="https://…" />
        <${Field} label="Notification e-mail" name="notificationEmail" type="email" value=${partner?.notificationEmail} error=${error} />
        ${partner && html`<${Field} label="Status" name="status" value=${partner.status} options=${[['active', 'Active'], ['suspended', 'Suspended']]} error=${error}
          hint="Suspending ends keys, sessions, webhooks and open claim links within a minute" />`}
      </div>
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy}>${busy ? 'Saving…' : 'Save'}</button></div>
    </form>
  <//>`;
}
