// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { Method, Path, Scopes } from '../../parts/badges.js';
import { CopyButton } from '../../parts/copy.js';
import { Prose, inline } from '../../parts/prose.js';
import { exampleOf, fieldsOf, typeOf } from './description.js';
import { samples } from './samples.js';
import { TryIt } from './try-it.js';

/** @typedef {import('./description.js').Operation} OperationInfo */

/** @param {{operation: OperationInfo, description: any, user: import('../../lib/session.js').User, link: string}} props */
export function Operation({ operation, description, user, link }) {
  const [trying, setTrying] = useState(false);
  const { entry } = operation;
  const body = operation.body && JSON.stringify(bodyExample(operation, description), null, 2);
  const mayTry = operation.access === 'open' || operation.access === (user.role === 'admin' ? 'admin' : 'partner');
  return html`<article class="card operation" aria-labelledby=${`op-${operation.id}`}>
    <header><h3 id=${`op-${operation.id}`} data-anchor=${operation.id} tabindex="-1"><${Method} method=${operation.method} /> <${Path} path=${operation.path} /></h3>
      <a class="anchor" href=${link} aria-label=${`Link to ${operation.summary}`}>#</a></header>
    <div class="body stack">
      <div class="prose"><p><strong>${operation.summary}</strong></p>
        ${entry?.note && html`<${Prose} text=${entry.note} />`}
        <${Prose} text=${operation.description} />
        ${operation.scopes.length > 0 && html`<p class="small muted">${operation.scopes.length > 1 ? 'One of these scopes' : 'Scope'}: <${Scopes} scopes=${operation.scopes} /></p>`}
        ${operation.access === 'admin' && html`<p class="small muted">For administrators, with <code>X-Admin-Secret</code>.</p>`}</div>
      <${Parameters} operation=${operation} description=${description} />
      ${operation.body && html`<${BodyFields} schema=${operation.body} description=${description} />`}
      <${Samples} operation=${operation} description=${description} body=${body} user=${user} />
      ${entry?.request && html`<${Block} title="Example Request" text=${entry.request} />`}
      ${(entry?.examples ?? []).map((it) => html`<${Block} key=${it.title} title=${it.title} text=${typeof it.example === 'string' ? it.example : JSON.stringify(it.example, null, 2)} />`)}
      ${!hasResponse(operation) && html`<${GeneratedResponse} operation=${operation} description=${description} />`}
      <${Responses} operation=${operation} />
      ${mayTry && html`<div><button type="button" class="button" aria-expanded=${trying} aria-label=${`${trying ? 'Close' : 'Try it'}: ${operation.summary}`} onClick=${() => setTrying(!trying)}>${trying ? 'Close' : 'Try it'}</button></div>`}
      ${trying && html`<${TryIt} operation=${operation} body=${body} user=${user} />`}
    </div></article>`;
}

/** @param {OperationInfo} operation @param {any} description */
function bodyExample(operation, description) {
  const own = operation.entry?.examples?.find((it) => /Body|Request/.test(it.title));
  return own ? own.example : exampleOf(description, operation.body);
}

/** @param {OperationInfo} operation */
const hasResponse = (operation) => operation.entry?.examples?.some((it) => /Response/.test(it.title));

/** @param {{operation: OperationInfo, description: any}} props */
function Parameters({ operation, description }) {
  const shown = operation.parameters;
  if (!shown.length) return null;
  return html`<details><summary>Parameters (${shown.length})</summary><dl class="fields">${shown.map((it) => html`
    <dt><code>${it.name}</code> <span class="muted small">${it.in}, ${typeOf(description, it.schema)}${it.required ? ', required' : ''}${it.schema?.default !== undefined ? `, default ${it.schema.default}` : ''}</span></dt>
    <dd>${inline(it.description ?? it.schema?.description ?? '')}</dd>`)}</dl></details>`;
}

/** @param {{schema: any, description: any}} props */
function BodyFields({ schema, description }) {
  const fields = fieldsOf(description, schema);
  if (!fields.length) return null;
  return html`<details><summary>Body fields (${fields.length})</summary><dl class="fields">${fields.map((it) => html`
    <dt><code>${it.name}</code> <span class="muted small">${it.type}${it.required ? ', required' : ''}</span></dt><dd>${inline(it.description)}</dd>`)}</dl></details>`;
}

/** @param {{operation: OperationInfo, description: any, body: string | null, user: import('../../lib/session.js').User}} props */
function Samples({ operation, description, body, user }) {
  const [language, setLanguage] = useState('curl');
  const path = operation.path.replace('{PPass}', user.practicepass ?? 'DemoOffice').replace(/\{(\w+)\}/g, '1');
  const required = operation.parameters.filter((it) => it.in === 'query' && it.required);
  const query = operation.entry?.request?.split('?')[1] ?? required.map((it) => `${it.name}=${encodeURIComponent(it.example ?? '')}`).join('&');
  /** @type {Record<string, string>} */
  const headers = operation.access === 'partner' ? { Authorization: 'Bearer YOUR_TOKEN' } : operation.access === 'admin' ? { 'X-Admin-Secret': 'YOUR_ADMIN_SECRET' } : {};
  if (body !== null) headers['Content-Type'] = 'application/json';
  // Partners' programs call the permanent address, if the deployment has one.
  const base = description.servers?.[0]?.url ?? location.origin;
  const all = samples({ method: operation.method, url: `${base}${path}${query ? `?${query}` : ''}`, headers, body });
  const text = all.find(([name]) => name === language)?.[1] ?? '';
  return html`<div class="block"><div class="block-head">
      <div class="tabs" role="group" aria-label="Language">${all.map(([name]) => html`<button type="button" key=${name} aria-pressed=${name === language} onClick=${() => setLanguage(name)}>${name}</button>`)}</div>
      <${CopyButton} text=${text} /></div><pre><code>${text}</code></pre></div>`;
}

/** @param {{title: string, text: string}} props */
export function Block({ title, text }) {
  return html`<div class="block"><div class="block-head"><h4>${title}</h4><${CopyButton} text=${text} /></div><pre><code>${text}</code></pre></div>`;
}

/** @param {{operation: OperationInfo, description: any}} props */
function GeneratedResponse({ operation, description }) {
  const success = operation.responses.find(([status]) => status.startsWith('2'))?.[1]?.content?.['application/json'];
  if (!success) return null;
  const example = success.example ?? exampleOf(description, success.schema);
  return html`<details><summary>Response example</summary><${Block} title="Response" text=${JSON.stringify(example, null, 2)} /></details>`;
}

/** @param {{operation: OperationInfo}} props */
function Responses({ operation }) {
  return html`<details><summary>Status codes</summary><dl class="fields">${operation.responses.map(([status, it]) => html`
    <dt><code>${status}</code></dt><dd>${inline(it.description || (status.startsWith('2') ? 'Success' : ''))}</dd>`)}</dl></details>`;
}
