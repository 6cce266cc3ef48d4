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
import { labelOf, partnersToChoose } from '../../lib/partners.js';
import { REQUEST_COLUMNS } from './columns.js';
import { instant, lines } from './key-forms.js';
import { WhatPartnerHas } from './what-partner-has.js';

/** @typedef {import('../../lib/types').AccessRequest} AccessRequest */

/** @param {{query: URLSearchParams}} props */
export function AccessRequests({ query }) {
  const status = query.get('status') ?? '';
  const pages = usePages((cursor, signal) => get('/v1/admin/access-requests', { limit: 25, cursor, status }, signal), `requests ${status}`);
  const [act, setAct] = useState(/** @type {{kind: 'approve' | 'deny' | 'details' | 'reissue' | 'withdraw', request: AccessRequest} | null} */ (null));
  const close = () => setAct(null);
  const columns = [...REQUEST_COLUMNS, {
    label: 'Action',
    cell: (/** @type {AccessRequest} */ request) => html`<div class="button-row">
      ${request.status === 'pending' && html`
        <button type="button" class="button small primary" aria-label=${`Approve ${request.company}`} onClick=${() => setAct({ kind: 'approve', request })}>Approve</button>
        <button type="button" class="button small" aria-label=${`Deny ${request.company}`} onClick=${() => setAct({ kind: 'deny', request })}>Deny</button>`}
      ${request.status === 'approved' && !request.keyId && html`
        <button type="button" class="button small" aria-label=${`New link for ${request.company}`} onClick=${() => setAct({ kind: 'reissue', request })}>New link</button>
        <button type="button" class="button small danger" aria-label=${`Withdraw ${request.company}`} onClick=${() => setAct({ kind: 'withdraw', request })}>Withdraw</button>`}
      <button type="button" class="button small quiet" aria-label=${`Details of ${request.company}`} onClick=${() => setAct({ kind: 'details', request })}>Details</button></div>`,
  }];
  return html`
    <${PageHead} title="API Access Requests" lead="Approving creates a single-use link, valid for 72 hours. The applicant opens it to create the key." />
    <section class="card">
      <div class="filters"><${Field} label="Status" name="status" value=${status}
        options=${[['', 'All'], ['pending', 'Pending'], ['approved', 'Approved'], ['denied', 'Denied'], ['withdrawn', 'Withdrawn']]}
        onInput=${(/** @type {string} */ value) => changeQuery({ status: value })} /></div>
      <${PagedTable} pages=${pages} what="requests" caption="API Access Requests" columns=${columns} id=${(/** @type {AccessRequest} */ it) => it.id}
        empty=${status ? `No request is ${status}.` : 'There are no access requests yet.'} />
    </section>
    ${act?.kind === 'approve' && html`<${ApproveDialog} request=${act.request} onClose=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'deny' && html`<${DenyDialog} request=${act.request} onClose=${close} onDone=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'reissue' && html`<${ReissueDialog} request=${act.request} onClose=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'withdraw' && html`<${WithdrawDialog} request=${act.request} onClose=${close} onDone=${() => { close(); pages.reload(); }} />`}
    ${act?.kind === 'details' && html`<${Details} request=${act.request} onClose=${close} />`}`;
}

/** @param {{request: AccessRequest, onClose: () => void}} props */
function ApproveDialog({ request, onClose }) {
  const [scopes, setScopes] = useState(request.requestedScopes);
  const [approved, setApproved] = useState(/** @type {import('../../lib/types').Approved | null} */ (null));
  const partners = useLoad(partnersToChoose, 'partners');
  const [partnerId, setPartnerId] = useState('');
  const { busy, error, onSubmit } = useForm(async (values, once) => {
    const body = {
      scopes, practicepass: values.practicepass.trim() || null, partnerId: partnerId === 'new' ? null : partnerId,
      expiresAt: instant(values.expiresAt), allowedCidrs: lines(values.allowedCidrs), rateLimit: Number(values.rateLimit),
    };
    setApproved((await postOnce(`/v1/admin/access-requests/${encodeURIComponent(request.id)}/approve`, body, once)).data);
  });
  if (approved) {
    return html`<${ClaimLink} title="Approved" request=${request} approved=${approved} onClose=${onClose} />`;
  }
  const choices = (partners.data ?? []).map((it) => [it.id, labelOf(it)]);
  return html`<${Dialog} title=${`Approve ${request.company}`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      ${request.message && html`<p class="notice">${request.message}</p>`}
      <${Checks} legend="Granted scopes" name="scopes" options=${request.requestedScopes} chosen=${scopes} onChange=${setScopes} error=${error} hint="Clear the scopes this key should not have" />
      <div class="pair">
        <${Field} label="Practice pass" name="practicepass" required value=${request.practice} error=${error} hint="The practice that the key opens" />
        <${Field} label="Partner" name="partnerId" required value=${partnerId} onInput=${setPartnerId}
          options=${[['', 'Choose…'], ['new', 'New partner'], ...choices]} error=${error} hint="The partner that gets the key" />
        <${Field} label="Expires" name="expiresAt" type="datetime-local" error=${error} hint="In your time zone. Leave empty for no expiry." />
        <${Field} label="Rate limit" name="rateLimit" type="number" min="1" max="100000" required value="600" error=${error} hint="Calls per minute" />
      </div>
      ${partnerId && partnerId !== 'new' && html`<${WhatPartnerHas} key=${partnerId} id=${partnerId} />`}
      <${Field} label="Allowed networks" name="allowedCidrs" rows="2" error=${error} hint="One per line, e.g. 203.0.113.0/24. Leave empty to allow any network." />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy || !scopes.length}>${busy ? 'Approving…' : 'Approve'}</button></div>
    </form>
  <//>`;
}

/** @param {{title: string, request: AccessRequest, approved: import('../../lib/types').Approved, onClose: () => void}} props */
function ClaimLink({ title, request, approved, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose} locked>
    <p>Send this link to ${request.contact} (${request.email}). It works once, until <${Time} at=${approved.claimUntil} />, and is not shown again.</p>
    <${StoredSecret} text=${approved.claimUrl} name="Claim link" stored="I have sent or stored it" done="Close" onDone=${onClose} />
  <//>`;
}

/** @param {{request: AccessRequest, onClose: () => void}} props */
function ReissueDialog({ request, onClose }) {
  const [approved, setApproved] = useState(/** @type {import('../../lib/types').Approved | null} */ (null));
  const { busy, error, onSubmit } = useForm(async (_, once) => {
    setApproved((await postOnce(`/v1/admin/access-requests/${encodeURIComponent(request.id)}/reissue`, {}, once)).data);
  });
  if (approved) return html`<${ClaimLink} title="New link" request=${request} approved=${approved} onClose=${onClose} />`;
  return html`<${Dialog} title=${`New link for ${request.company}?`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <p>The old link stops working at once. The terms stay as approved.</p>
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy}>${busy ? 'Creating…' : 'Create link'}</button></div>
    </form>
  <//>`;
}

/** @param {{request: AccessRequest, onClose: () => void, onDone: () => void}} props */
function WithdrawDialog({ request, onClose, onDone }) {
  const { busy, error, onSubmit } = useForm(async () => {
    await call('POST', `/v1/admin/access-requests/${encodeURIComponent(request.id)}/withdraw`);
    say('Approval withdrawn');
    onDone();
  });
  return html`<${Dialog} title=${`Withdraw the approval of ${request.company}?`} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <p>The claim link stops working at once, and no key is created.</p>
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button danger" disabled=${busy}>${busy ? 'Withdrawing…' : 'Withdraw'}</button></div>
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
      <${Field} label="Reason" name="reason" rows="3" maxlength="1000" error=${error} hint="Optional. Only administrators see it." />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button danger" disabled=${busy}>${busy ? 'Denying…' : 'Deny'}</button></div>
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
    ['Key expires', request.keyExpiresAt && html`<${Time} at=${request.keyExpiresAt} />`],
    ['Allowed networks', request.allowedCidrs?.join(', ')], ['Rate limit', request.rateLimit && `${request.rateLimit} calls per minute`],
    ['Deleted on', html`<${Time} at=${request.expiresAt} />`],
    ['Claim link expires', request.claimUntil && html`<${Time} at=${request.claimUntil} />`],
    ['Claimed', request.status === 'approved' ? (request.keyId ? `Yes, key ${request.keyId}` : 'Not yet') : null],
  ];
  return html`<${Dialog} title=${`Request from ${request.company}`} onClose=${onClose}>
    <dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    <div class="button-row"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
