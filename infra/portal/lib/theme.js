// @ts-check
/** @typedef {'auto' | 'light' | 'dark'} Theme */

const KEY = 'portal-theme';

/** @returns {Theme} */
export function theme() {
  const kept = storage()?.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'auto';
}

/** @param {Theme} [choice] */
export function applyTheme(choice) {
  if (choice) storage()?.setItem(KEY, choice);
  document.documentElement.dataset.theme = choice ?? theme();
}

// Browsers that block storage throw on access; the choice then lasts until the page is closed.
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
