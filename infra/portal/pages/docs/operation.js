// @ts-check
// One operation: what it does and its fields on the left, calls and responses on the right.
import { html, useState } from '../../vendor/preact.js';
import { useLanguage } from '../../lib/language.js';
import { Method, Path, Scopes, StatusCode } from '../../parts/badges.js';
import { CodeBlock, Samples } from '../../parts/code.js';
import { CopyButton } from '../../parts/copy.js';
import { Prose, inline } from '../../parts/prose.js';
import { errorsOf, exampleOf, fieldsOf, limitsOf, successOf, typeOf } from './description.js';
import { samples } from './samples.js';
import { TryIt } from './try-it.js';

/** @typedef {import('./description.js').Operation} OperationInfo */
/** @typedef {import('../../lib/session.js').User} User */

/** Fields that are shown without being asked for. */
const SHOWN = 12;

/** @param {{operation: OperationInfo, description: any, user: User | null, link: string}} props */
export function Operation({ operation, description, user, link }) {
  const { entry } = operation;
  const body = operation.body && JSON.stringify(bodyExample(operation, description), null, 2);
  return html`<article class="card operation" aria-labelledby=${`op-${operation.id}`}>
    <header><h3 id=${`op-${operation.id}`} data-anchor=${operation.id} tabindex="-1">${operation.name}</h3>
      <a class="anchor" href=${link} aria-label=${`Link to ${operation.name}`}>#</a>
      <div class="route"><${Method} method=${operation.method} /> <${Path} path=${operation.path} /><${CopyButton} text=${operation.path} name=${`Copy the path of ${operation.name}`} quiet /></div></header>
    <div class="body operation-columns">
      <div class="stack">
        <div class="prose"><p><strong>${operation.summary}</strong></p>
          ${entry?.note && html`<${Prose} text=${entry.note} />`}
          <${Prose} text=${operation.description} />
          ${operation.scopes.length > 0 && html`<p class="small muted">${operation.scopes.length > 1 ? 'One of these scopes' : 'Scope'}: <${Scopes} scopes=${operation.scopes} /></p>`}
          ${operation.access === 'admin' && html`<p class="small muted">For administrators, with <code>X-Admin-Secret</code>.</p>`}</div>
        <${Fields} title="Parameters" of=${operation.name} fields=${parametersOf(operation, description)} />
        <${Fields} title="Body" of=${operation.name} fields=${operation.body ? fieldsOf(description, operation.body) : []} />
        <${Fields} title="Response" of=${operation.name} fields=${fieldsOf(description, successOf(operation)?.schema)} closed />
        <${Errors} operation=${operation} description=${description} />
      </div>
      <div class="stack">
        <${Calls} operation=${operation} description=${description} body=${body} user=${user} />
        ${entry?.request && html`<${Block} title="Example Request" text=${entry.request} language="http" />`}
        ${(entry?.examples ?? []).map((it) => html`<${Block} key=${it.title} title=${it.title} text=${typeof it.example === 'string' ? it.example : JSON.stringify(it.example, null, 2)} language="json" />`)}
        ${!hasResponse(operation) && html`<${GeneratedResponse} operation=${operation} description=${description} />`}
        <${Trial} operation=${operation} body=${body} user=${user} />
      </div>
    </div></article>`;
}

/** @param {OperationInfo} operation @param {any} description */
function bodyExample(operation, description) {
  const own = operation.entry?.examples?.find((it) => /Body|Request/.test(it.title));
  return own ? own.example : exampleOf(description, operation.body);
}

/** @param {OperationInfo} operation */
const hasResponse = (operation) => operation.entry?.examples?.some((it) => /Response/.test(it.title));

/** @param {OperationInfo} operation @param {any} description @returns {import('./description.js').FieldInfo[]} */
const parametersOf = (operation, description) => operation.parameters.map((it) => ({
  name: it.name,
  type: `${it.in}, ${typeOf(description, it.schema)}`,
  required: Boolean(it.required),
  limits: limitsOf(description, it.schema),
  description: it.description ?? it.schema?.description ?? '',
}));

/** @param {{title: string, of: string, fields: import('./description.js').FieldInfo[], closed?: boolean}} props */
function Fields({ title, of, fields, closed = false }) {
  if (!fields.length) return null;
  return html`<details open=${!closed && fields.length <= SHOWN}><summary>${title} <span class="muted">(${fields.length})</span></summary>
    <table class="field-table"><caption class="hidden-text">${title} of ${of}</caption>
      <thead><tr><th scope="col">Field</th><th scope="col">Description</th></tr></thead>
      <tbody>${fields.map((it) => html`<tr key=${it.name}><th scope="row"><code>${it.name}</code>${it.required && html`<span class="required">required</span>`}</th>
        <td><span class="small muted">${it.type}${it.limits && html`<br />${it.limits}`}</span>${it.description && html`<p>${inline(it.description)}</p>`}</td></tr>`)}</tbody></table></details>`;
}

/** @param {{operation: OperationInfo, description: any}} props */
function Errors({ operation, description }) {
  const errors = errorsOf(description, operation);
  const count = errors.reduce((sum, it) => sum + it.codes.length, 0);
  if (!count) return null;
  return html`<details><summary>Errors <span class="muted">(${count})</span></summary>
    <ul class="plain errors">${errors.flatMap(({ status, note, codes }) => [
      ...codes.map(({ code, title, example }) => html`<li key=${code}><${StatusCode} code=${Number(status)} /> <a href=${`docs/errors.html#${code}`}><code>${code}</code></a> <span>${title}</span>
        <details><summary class="small muted">Example</summary><${CodeBlock} title=${html`<span class="small muted">${status}</span>`} text=${JSON.stringify(example, null, 2)} language="json" /></details></li>`),
      note && html`<li key=${`${status} note`} class="small muted">${inline(note)}</li>`,
    ])}</ul></details>`;
}

/** @param {{operation: OperationInfo, description: any, body: string | null, user: User | null}} props */
function Calls({ operation, description, body, user }) {
  const [language, choose] = useLanguage();
  const path = operation.path.replace('{PPass}', user?.practicepass ?? 'DemoOffice').replace(/\{(\w+)\}/g, '1');
  const required = operation.parameters.filter((it) => it.in === 'query' && it.required);
  const query = operation.entry?.request?.split('?')[1] ?? required.map((it) => `${it.name}=${encodeURIComponent(it.example ?? '')}`).join('&');
  /** @type {Record<string, string>} */
  const headers = operation.access === 'partner' ? { Authorization: 'Bearer YOUR_TOKEN' } : operation.access === 'admin' ? { 'X-Admin-Secret': 'YOUR_ADMIN_SECRET' } : {};
  if (body !== null) headers['Content-Type'] = 'application/json';
  // Partners' programs call the permanent address, if the deployment has one.
  const base = new URL(description.servers?.[0]?.url ?? '/', location.origin).href.replace(/\/$/, '');
  const all = samples({ method: operation.method, url: `${base}${path}${query ? `?${query}` : ''}`, headers, body });
  return html`<${Samples} samples=${all} chosen=${language} onChoose=${choose} />`;
}

/** @param {{title: string, text: string, language: string}} props */
const Block = ({ title, text, language }) => html`<${CodeBlock} title=${html`<h4>${title}</h4>`} text=${text} language=${language} />`;

/** @param {{operation: OperationInfo, description: any}} props */
function GeneratedResponse({ operation, description }) {
  const success = successOf(operation);
  if (!success) return null;
  const example = success.example ?? exampleOf(description, success.schema);
  return html`<${Block} title="Response" text=${JSON.stringify(example, null, 2)} language="json" />`;
}

/** @param {{operation: OperationInfo, body: string | null, user: User | null}} props */
function Trial({ operation, body, user }) {
  const [trying, setTrying] = useState(false);
  const mayTry = user && (operation.access === 'open' || operation.access === (user.role === 'admin' ? 'admin' : 'partner'));
  if (!mayTry) return null;
  return html`<div><button type="button" class="button" aria-expanded=${trying} aria-label=${`${trying ? 'Close' : 'Try it'}: ${operation.name}`} onClick=${() => setTrying(!trying)}>${trying ? 'Close' : 'Try it'}</button></div>
    ${trying && html`<${TryIt} operation=${operation} body=${body} user=${user} />`}`;
}
