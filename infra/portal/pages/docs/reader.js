// @ts-check
import { html, useRef } from '../../vendor/preact.js';
import { DocsSearch } from './search-box.js';

/** The layout of the documentation for readers who are not signed in. @param {{children?: any}} props */
export function Reader({ children }) {
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <header class="docs-bar"><a class="brand" href="docs/index.html"><img src="logo.svg" alt="" width="28" height="28" /><span>OfficePro<small>API documentation</small></span></a>
      <${DocsSearch} base="" />
      <nav aria-label="Portal"><a href="docs/index.html">Guides</a><a href="#/docs" aria-current="page">API reference</a><a href="#/">Sign in</a></nav></header>
    <main id="main" class="reader" ref=${main} tabindex="-1">${children}</main>`;
}
