// @ts-check
// Adds to the pages of the guides what needs a script: search, language tabs, copy buttons,
// highlighting and an index that follows the reader. Without it, they are complete to read.
import { html, render } from './vendor/preact.js';
import { get } from './lib/api.js';
import { follow, reveal } from './lib/follow.js';
import { useLanguage } from './lib/language.js';
import { applyTheme } from './lib/theme.js';
import { CodeBlock, Samples } from './parts/code.js';
import { DocsSearch } from './pages/docs/search-box.js';
import { Toasts } from './parts/toasts.js';

/** The address in the samples, in place of the installation's own. */
const EXAMPLE = 'https://api.example.com';

applyTheme();
mountSearch();
void showSamples();
followReader();
keepChecks();

function mountSearch() {
  const place = document.getElementById('search');
  if (place) render(html`<${DocsSearch} base="../" />`, place);
  const toasts = document.createElement('div');
  document.body.append(toasts);
  render(html`<${Toasts} />`, toasts);
}

async function showSamples() {
  const figures = [...document.querySelectorAll('figure.block')];
  const read = (/** @type {Element} */ figure) => {
    const code = /** @type {HTMLElement} */ (figure.querySelector('code'));
    return /** @type {[string, string, string]} */ ([figure.querySelector('figcaption')?.textContent ?? '', code.textContent ?? '', code.dataset.language ?? '']);
  };
  const address = figures.some((it) => it.textContent?.includes(EXAMPLE)) ? await apiAddress() : EXAMPLE;
  const own = (/** @type {[string, string, string]} */ [name, text, language]) => /** @type {[string, string, string]} */ ([name, text.replaceAll(EXAMPLE, address).trimEnd(), language]);
  for (const group of document.querySelectorAll('.samples')) {
    const samples = [...group.querySelectorAll('figure.block')].map((it) => own(read(it)));
    replace(group, html`<${Chosen} samples=${samples} />`);
  }
  for (const figure of document.querySelectorAll('figure.block')) {
    const [name, text, language] = own(read(figure));
    replace(figure, html`<${CodeBlock} title=${html`<span class="small muted">${name}</span>`} text=${text} language=${language} />`);
  }
  // The samples now have other heights, so the place that the address names has moved.
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

/** @param {{samples: [string, string, string][]}} props */
function Chosen({ samples }) {
  const [language, choose] = useLanguage();
  return html`<${Samples} samples=${samples} chosen=${language} onChoose=${choose} />`;
}

/** @param {Element} element @param {any} content */
function replace(element, content) {
  const place = document.createElement('div');
  place.className = 'sample';
  render(content, place);
  element.replaceWith(place);
}

/** Returns the address at which programs call this installation's API. */
async function apiAddress() {
  try {
    const { servers } = await get('/v1/openapi.json');
    return new URL(servers[0].url, location.origin).href.replace(/\/$/, '');
  } catch {
    return EXAMPLE;
  }
}

function followReader() {
  const toc = document.querySelector('.toc');
  if (!toc) return;
  const headings = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main :is(h2, h3, h4)[id]')]);
  follow(headings, (heading) => {
    toc.querySelector('[aria-current]')?.removeAttribute('aria-current');
    const link = heading && toc.querySelector(`a[href="#${CSS.escape(heading.id)}"]`);
    link?.setAttribute('aria-current', 'true');
    reveal(link);
  });
}

/** Remembers the boxes that the reader has checked, until the browser's data is deleted. */
function keepChecks() {
  const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('main input[type="checkbox"]'));
  for (const box of boxes) {
    const key = `docs-done ${box.parentElement?.textContent?.trim()}`;
    try {
      box.checked = localStorage.getItem(key) === 'yes';
      box.addEventListener('change', () => (box.checked ? localStorage.setItem(key, 'yes') : localStorage.removeItem(key)));
    } catch {
      return; // The browser blocks storage.
    }
  }
}
