// @ts-check
import { html, useEffect, useId, useRef, useState } from '../../vendor/preact.js';
import { loadEntries, search } from './search.js';

/** @typedef {import('./search.js').Entry} Entry */

/**
 * Searches the documentation. "/" focuses it, the arrow keys choose a result, Enter opens it.
 * @param {{base: string, user?: import('../../lib/session.js').User | null}} props `base` leads from the page to the portal's root.
 */
export function DocsSearch({ base, user = null }) {
  const id = useId();
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [query, setQuery] = useState('');
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState(0);
  const [entries, setEntries] = useState(/** @type {Entry[] | null} */ (null));
  const [failed, setFailed] = useState(false);
  const loading = useRef(false);
  useEffect(() => focusOnSlash(input), []);
  useEffect(() => { loading.current = false; setEntries(null); }, [user?.role]);
  function load() {
    if (entries || loading.current) return;
    loading.current = true;
    setFailed(false);
    loadEntries(base, user).then(setEntries, () => { loading.current = false; setFailed(true); });
  }
  const found = entries ? search(entries, query) : [];
  const shown = open && query.trim() !== '';
  const current = found[chosen];
  /** @param {Entry} entry */
  function go(entry) {
    setOpen(false);
    input.current?.blur();
    location.href = entry.href;
  }
  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.key === 'Escape') setOpen(false);
    else if (event.key === 'Enter' && current && shown) go(current);
    else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      setOpen(true);
      const step = event.key === 'ArrowDown' ? 1 : -1;
      setChosen(found.length ? (chosen + step + found.length) % found.length : 0);
    }
  }
  /** @param {FocusEvent} event */
  const left = (event) => /** @type {Element} */ (event.currentTarget).contains(/** @type {Node | null} */ (event.relatedTarget)) || setOpen(false);
  return html`<div class="docs-search" onFocusOut=${left}>
    <input ref=${input} type="search" class="input" role="combobox" aria-label="Search the documentation" placeholder="Search  ( / )" autocomplete="off" spellcheck=${false}
      aria-expanded=${shown} aria-controls=${`${id}-list`} aria-autocomplete="list" aria-activedescendant=${shown && current ? `${id}-${chosen}` : undefined}
      value=${query} onFocus=${() => { load(); setOpen(true); }} onKeyDown=${key}
      onInput=${(/** @type {any} */ event) => { load(); setQuery(event.currentTarget.value); setChosen(0); setOpen(true); }} />
    <ul id=${`${id}-list`} role="listbox" aria-label="Results" class="plain docs-results" hidden=${!shown || !found.length}>
      ${found.map((entry, at) => html`<li id=${`${id}-${at}`} key=${`${entry.kind} ${entry.href} ${entry.title}`} role="option" aria-selected=${at === chosen}
        onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => go(entry)}>
        <span class="kind">${entry.kind}</span> <strong>${entry.title}</strong> <span class="muted">${entry.context}</span></li>`)}</ul>
    <p class=${shown && !found.length && (entries || failed) ? 'docs-none' : 'hidden-text'} role="status">${shown ? said(found.length, entries, failed) : ''}</p>
  </div>`;
}

/** @param {number} count @param {Entry[] | null} entries @param {boolean} failed */
function said(count, entries, failed) {
  if (failed) return 'The search could not be loaded. Check your connection and try again.';
  if (!entries) return '';
  return count === 0 ? 'Nothing contains all of these words.' : count === 1 ? '1 result' : `${count} results`;
}

/** @param {{current: HTMLInputElement | null}} input */
function focusOnSlash(input) {
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog')) return;
    event.preventDefault();
    input.current?.focus({ preventScroll: true });
  };
  addEventListener('keydown', pressed);
  return () => removeEventListener('keydown', pressed);
}
