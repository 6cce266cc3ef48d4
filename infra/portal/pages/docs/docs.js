// @ts-check
import { html, useEffect, useMemo, useRef } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { useLoad } from '../../lib/load.js';
import { changeQuery, href } from '../../lib/router.js';
import { Method, Path } from '../../parts/badges.js';
import { Field } from '../../parts/field.js';
import { PageHead } from '../../parts/page.js';
import { inline } from '../../parts/prose.js';
import { Awaited, Empty } from '../../parts/state.js';
import { readDescription } from './description.js';
import { Operation } from './operation.js';

/** @typedef {import('./description.js').DocSection} DocSection */

/** @param {{path: string, query: URLSearchParams, user: import('../../lib/session.js').User}} props */
export function Docs({ path, query, user }) {
  const address = user.role === 'admin' ? '/v1/openapi-admin.json' : '/v1/openapi.json';
  const description = useLoad((signal) => get(address, {}, signal), address);
  return html`
    <${PageHead} title="API Documentation" actions=${html`<a class="button" href=${address} download="officepro-openapi.json">Download OpenAPI</a>
      ${downloads(address).map(([name, href, file]) => html`<a key=${file} class="button" href=${href} download=${file}>${name}</a>`)}`} />
    <${Awaited} load=${description} what="the documentation">${(/** @type {any} */ data) => html`<${Reference} description=${data} path=${path} query=${query} user=${user} />`}<//>`;
}

/** Returns name, address and file name of what else can be downloaded. @param {string} address @returns {[string, string, string][]} */
const downloads = (address) => [
  ['OpenAPI 3.0', `${address}?version=3.0`, 'officepro-openapi-3.0.json'],
  ['Postman', '/downloads/postman.json', 'officepro.postman_collection.json'],
  ['TypeScript', '/downloads/types.txt', 'officepro-api.d.ts'],
];

/** @param {{description: any, path: string, query: URLSearchParams, user: import('../../lib/session.js').User}} props */
function Reference({ description, path, query, user }) {
  const sections = useMemo(() => readDescription(description), [description]);
  const words = (query.get('search') ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  const shown = useMemo(() => filter(sections, words), [sections, words.join(' ')]);
  const anchor = decodeURIComponent(path.slice('/docs/'.length));
  const content = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!anchor) return;
    const target = [...(content.current?.querySelectorAll('[data-anchor]') ?? [])].find((it) => it.getAttribute('data-anchor') === anchor);
    if (!(target instanceof HTMLElement)) return;
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  }, [anchor]);
  return html`<div class="docs">
    <nav class="docs-index" aria-label="Documentation" tabindex="0">
      <${Field} label="Search" name="search" type="search" value=${query.get('search') ?? ''} autocomplete="off"
        onInput=${(/** @type {string} */ value) => changeQuery({ search: value })} />
      <p class="hidden-text" role="status">${words.length ? `${shown.reduce((sum, it) => sum + it.operations.length, 0)} endpoints found` : ''}</p>
      ${shown.map((section) => html`<div key=${section.id}>
        <a class="docs-index-title" href=${anchorOf(section.id, query)}>${section.title}</a>
        <ul class="plain">${section.operations.map((it) => html`<li key=${it.id}><a href=${anchorOf(it.id, query)}><${Method} method=${it.method} /> <${Path} path=${shortPath(it.path)} /></a></li>`)}</ul></div>`)}
    </nav>
    <div class="docs-content" ref=${content}>
      ${!words.length && html`<${Introduction} />`}
      ${shown.length === 0 && html`<${Empty}>No endpoint matches all of these words.<//>`}
      ${shown.map((section) => html`<${Section} key=${section.id} section=${section} description=${description} query=${query} user=${user} />`)}
    </div>
  </div>`;
}

function Introduction() {
  return html`<section class="docs-section"><h2>Introduction</h2>
    <p>Welcome to the EMR API documentation. This API allows partners to integrate with our Electronic Medical Record system to manage prospects, tags, and view provider availability.</p>
    <p>Base URL: <code>/v1/{PPass}</code></p></section>`;
}

/** @param {{section: DocSection, description: any, query: URLSearchParams, user: import('../../lib/session.js').User}} props */
function Section({ section, description, query, user }) {
  return html`<section class="docs-section">
    <div class="docs-title"><h2 data-anchor=${section.id} tabindex="-1">${section.title}</h2><a class="anchor" href=${anchorOf(section.id, query)} aria-label=${`Link to ${section.title}`}>#</a></div>
    ${section.intro.map((text) => html`<p>${inline(text)}</p>`)}
    ${section.operations.map((operation) => html`<${Operation} key=${operation.id} operation=${operation} description=${description} user=${user} link=${anchorOf(operation.id, query)} />`)}
  </section>`;
}

/** @param {string} id @param {URLSearchParams} query */
const anchorOf = (id, query) => href(`/docs/${id}`, { search: query.get('search') });

/** @param {string} path */
const shortPath = (path) => path.replace('/v1/{PPass}', '').replace('/v1', '');

/** Returns the sections with only the endpoints that contain all words. @param {DocSection[]} sections @param {string[]} words */
function filter(sections, words) {
  if (!words.length) return sections;
  return sections.map((section) => ({
    ...section,
    operations: section.operations.filter((it) => {
      const text = `${section.title} ${it.method} ${it.path} ${it.summary} ${it.description} ${it.entry?.note ?? ''} ${it.scopes.join(' ')} ${it.parameters.map((one) => one.name).join(' ')}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }),
  })).filter((section) => section.operations.length);
}
