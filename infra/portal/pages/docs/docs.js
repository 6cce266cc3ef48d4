// @ts-check
// The API reference: a page for each section, with an index that follows the reader.
import { html, useEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { get } from '../../lib/api.js';
import { follow, reveal } from '../../lib/follow.js';
import { useLoad } from '../../lib/load.js';
import { Method } from '../../parts/badges.js';
import { PageHead } from '../../parts/page.js';
import { inline } from '../../parts/prose.js';
import { Awaited } from '../../parts/state.js';
import { addressOf, readDescription } from './description.js';
import { Operation } from './operation.js';
import { Reader } from './reader.js';
import { DocsSearch } from './search-box.js';

/** @typedef {import('./description.js').DocSection} DocSection */
/** @typedef {import('../../lib/session.js').User} User */

/** @param {{path: string, user?: User | null}} props */
export function Docs({ path, user = null }) {
  const address = addressOf(user);
  const description = useLoad((signal) => get(address, {}, signal), address);
  const actions = html`${user && html`<a class="button" href="docs/index.html">Guides</a>`}<a class="button" href=${address} download="officepro-openapi.json">Download OpenAPI</a>
    ${downloads(address).map(([name, href, file]) => html`<a key=${file} class="button" href=${href} download=${file}>${name}</a>`)}`;
  const page = html`
    <${PageHead} title="API Documentation" actions=${actions} />
    ${user && html`<div class="docs-tools"><${DocsSearch} base="" user=${user} /></div>`}
    <${Awaited} load=${description} what="the documentation">${(/** @type {any} */ data) => html`<${Reference} description=${data} path=${path} user=${user} />`}<//>`;
  return user ? page : html`<${Reader}>${page}<//>`;
}

/** Returns name, address and file name of what else can be downloaded. @param {string} address @returns {[string, string, string][]} */
const downloads = (address) => [
  ['OpenAPI 3.0', `${address}?version=3.0`, 'officepro-openapi-3.0.json'],
  ['Postman', '/downloads/postman.json', 'officepro.postman_collection.json'],
  ['TypeScript', '/downloads/types.txt', 'officepro-api.d.ts'],
];

/** @param {{description: any, path: string, user: User | null}} props */
function Reference({ description, path, user }) {
  const sections = useMemo(() => readDescription(description), [description]);
  const anchor = safeDecode(path.slice('/docs/'.length));
  const section = sections.find((it) => it.id === anchor || it.operations.some((one) => one.id === anchor)) ?? null;
  const [reading, setReading] = useState('');
  const content = useRef(/** @type {HTMLElement | null} */ (null));
  const index = useRef(/** @type {HTMLElement | null} */ (null));
  const targets = () => /** @type {HTMLElement[]} */ ([...(content.current?.querySelectorAll('[data-anchor]') ?? [])]);
  useEffect(() => {
    const target = targets().find((it) => it.dataset.anchor === anchor);
    if (!target) return;
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  }, [anchor, section]);
  useEffect(() => follow(targets, (target) => setReading(target?.dataset.anchor ?? '')), [section]);
  useEffect(() => reveal(index.current?.querySelector('[aria-current="true"]')), [reading]);
  return html`<div class="docs">
    <nav class="docs-index" aria-label="Reference" tabindex="0" data-scrolls ref=${index}>
      <a class="docs-index-title" href="#/docs" aria-current=${section ? undefined : 'page'}>Introduction</a>
      ${sections.map((it) => html`<div key=${it.id}>
        <a class="docs-index-title" href=${`#/docs/${it.id}`} aria-current=${it === section ? 'page' : undefined}>${it.title}</a>
        ${it === section && html`<ul class="plain">${it.operations.map((one) => html`<li key=${one.id}>
          <a href=${`#/docs/${one.id}`} aria-current=${one.id === reading ? 'true' : undefined}><span>${one.name}</span> <${Method} method=${one.method} /></a></li>`)}</ul>`}</div>`)}
    </nav>
    <div class="docs-content" ref=${content}>
      ${section ? html`<${Section} key=${section.id} section=${section} description=${description} user=${user} />` : html`<${Introduction} sections=${sections} unknown=${anchor} />`}
    </div>
  </div>`;
}

/** Decodes an anchor; one that is malformed stays as it is. @param {string} text */
function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {{sections: DocSection[], unknown: string}} props */
function Introduction({ sections, unknown }) {
  return html`<section class="docs-section"><h2>Introduction</h2>
    ${unknown && html`<p class="notice" role="status">There is no entry with this name. Search for it, or choose a section.</p>`}
    <p>Welcome to the EMR API documentation. This API allows partners to integrate with our Electronic Medical Record system to manage prospects, tags, and view provider availability.</p>
    <p>Base URL: <code>/v1/{PPass}</code></p>
    <p>New here? The <a href="docs/quickstart.html">quickstart</a> leads to your first booking in five minutes; the <a href="docs/index.html">guides</a> explain everything else, including each <a href="docs/errors.html">error code</a>.</p>
    ${sections.map((section) => html`<div key=${section.id} class="docs-overview"><h3><a href=${`#/docs/${section.id}`}>${section.title}</a></h3>
      <ul class="plain">${section.operations.map((it) => html`<li key=${it.id}><a href=${`#/docs/${it.id}`}>${it.name}</a></li>`)}</ul></div>`)}
  </section>`;
}

/** @param {{section: DocSection, description: any, user: User | null}} props */
function Section({ section, description, user }) {
  return html`<section class="docs-section">
    <div class="docs-title"><h2 data-anchor=${section.id} tabindex="-1">${section.title}</h2><a class="anchor" href=${`#/docs/${section.id}`} aria-label=${`Link to ${section.title}`}>#</a></div>
    ${section.intro.map((text) => html`<p>${inline(text)}</p>`)}
    ${section.operations.map((operation) => html`<${Operation} key=${operation.id} operation=${operation} description=${description} user=${user} link=${`#/docs/${operation.id}`} />`)}
  </section>`;
}
