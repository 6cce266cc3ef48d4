// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { call, get, postOnce } from '../../lib/api.js';
import { useLoad, usePages } from '../../lib/load.js';
import { changeQuery } from '../../lib/router.js';
import { Scopes, Time } from '../../parts/badges.js';
import { Dialog } from '../../parts/dialog.js';
import { Checks, Field, useForm } from '../../parts/field.js';
import { PageHead } from '../../parts/page.js';
import { StoredSecret } from '../../parts/secret.js';
import { Failure } from '../../parts/state.js';
import { PagedTable } from '../../parts/table.js';
import { say } from '../../parts/toasts.js';
import { REQUEST_COLUMNS } from './columns.js';

/** @typedef {import('../../lib/types').AccessRequest} AccessRequest */

/** @param {{query: URLSearchParams}} props */
export function AccessRequests({ query }) {
  const status = query.get('status') ?? '';
  const pages = usePages((cursor, signal) => get('/v1/admin/access-requests', { limit: 25, cursor, status }, signal), `requests ${status}`);
  const [act, setAct] = useState(/** @type {{kind: 'approve' | 'deny' | 'details', request: AccessRequest} | null} */ (null));
  const close = () => setAct(null);
  const columns = [...REQUEST_COLUMNS, {
    label: 'Action',
    cell: (/** @type {AccessRequest} */ request) => html`<div class="button-row">
      ${request.status === 'pending' && html`
        <button type="button" class="button small primary" aria-label=${`Approve ${request.company}`} onClick=${() => setAct({ kind: 'approve', request })}>Approve</button>
        <button type="button" class="button small" aria-label=${`Deny ${request.company}`} onClick=${() => setAct({ kind: 'deny', request })}>Deny</button>`}
      <button type="button" class="button small quiet" aria-label=${`Details of ${request.company}`} onClick=${() => setAct({ kind: 'details', request })}>Details</button></div>`,
  }];
  return html`
    <${PageHead} title="API Access Requests" lead="Approving makes no key: it gives a link, good once and for 72 hours, through which the applicant makes it." />
    <section class="card">
      <div class="filters"><${Field} label="Status" name="status" value=${status}
        options=${[['', 'All'], ['pending', 'Pending'], ['approved', 'Approved'], ['denied', 'Denied']]}
        onInput=${(/** @type {string} */ value) => changeQuery({ status: value })} /></div>
      <${PagedTable} pages=${pages} what="requests" caption="API Access Requests" columns=${columns} id=${(/** @type {AccessRequest} */ it) => it.id}
        empty=${status ? `No request is ${status}.` : 'Nobody has asked for access yet.'} />
    </section>
    ${act?.kind === 'approve' && html`<${ApproveDialog} request=${act.request} onClose=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'deny' && html`<${DenyDialog} request=${act.request} onClose=${close} onDone=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'details' && html`<${Details} request=${act.request} onClose=${close} />`}`;
}

/** @param {{request: AccessRequest, onClose: () => void}} props */
function ApproveDialog({ request, onClose }) {
  const [scopes, setScopes] = useState(request.requestedScopes);
  const [approved, setApproved] = useState(/** @type {import('../../lib/types').Approved | null} */ (null));
  const partners = useLoad((signal) => get('/v1/admin/partners', { limit: 100 }, signal), 'partners');
  const { busy, error, onSubmit } = useForm(async ({ practicepass, partnerId }, once) => {
    const body = { scopes, practicepass: practicepass.trim() || null, partnerId: partnerId || null };
    setApproved((await postOnce(`/v1/admin/access-requests/${encodeURIComponent(request.id)}/approve`, body, once)).data);
  });
  if (approved) {
    return html`<${Dialog} title="Approved" onClose=${onClose} locked>
      <p>Send this link to ${request.contact} (${request.email}). It works once, until <${Time} at=${approved.claimUntil} />, and is not shown again.</p>
      <${StoredSecret} text=${approved.claimUrl} name="Claim link" stored="I have sent or stored it" done="Close" onDone=${onClose} />
    <//>`;
  }
  const choices = (partners.data?.data ?? []).map((/** @type {any} */ it) => [it.id, it.company]);
  return html`<${Dialog} title=${`Approve ${request.company}`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      ${request.message && html`<p class="notice">${request.message}</p>`}
      <${Checks} legend="Granted scopes" name="scopes" options=${request.requestedScopes} chosen=${scopes} onChange=${setScopes} error=${error} hint="Untick what the key shall not do" />
      <div class="pair">
        <${Field} label="Practice pass" name="practicepass" required value=${request.practice} error=${error} hint="The practice the key will open" />
        <${Field} label="Partner" name="partnerId" value="" options=${[['', 'That of this company and e-mail, or a new one'], ...choices]} error=${error} />
      </div>
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy || !scopes.length}>${busy ? 'Approving …' : 'Approve'}</button></div>
    </form>
  <//>`;
}

/** @param {{request: AccessRequest, onClose: () => void, onDone: () => void}} props */
function DenyDialog({ request, onClose, onDone }) {
  const { busy, error, onSubmit } = useForm(async ({ reason }) => {
    await call('POST', `/v1/admin/access-requests/${encodeURIComponent(request.id)}/deny`, { reason: reason.trim() || null });
    say('Request denied');
    onDone();
  });
  return html`<${Dialog} title=${`Deny ${request.company}?`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <${Field} label="Reason" name="reason" rows="3" maxlength="1000" error=${error} hint="Optional, for the administrators" />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button danger" disabled=${busy}>${busy ? 'Denying …' : 'Deny'}</button></div>
    </form>
  <//>`;
}

/** @param {{request: AccessRequest, onClose: () => void}} props */
function Details({ request, onClose }) {
  /** @type {[string, any][]} */
  const facts = [
    ['Company', request.company], ['Contact', `${request.contact}, ${request.email}`], ['Practice', request.practice],
    ['Message', request.message], ['Requested scopes', html`<${Scopes} scopes=${request.requestedScopes} />`],
    ['Decided', request.decidedAt && html`<${Time} at=${request.decidedAt} />`], ['Reason', request.reason],
    ['Granted scopes', request.scopes && html`<${Scopes} scopes=${request.scopes} />`], ['Practice pass', request.practicepass],
    ['Claim link until', request.claimUntil && html`<${Time} at=${request.claimUntil} />`],
    ['Claimed', request.status === 'approved' ? (request.keyId ? `Yes, key ${request.keyId}` : 'Not yet') : null],
  ];
  return html`<${Dialog} title=${`Request of ${request.company}`} onClose=${onClose}>
    <dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    <div class="button-row"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
