// @ts-check
// The programming language in which samples are shown, on every page and the next visit.
import { useEffect, useState } from '../vendor/preact.js';

const KEY = 'docs-language';
/** @type {Set<(name: string) => void>} */
const watchers = new Set();
let chosen = read();

function read() {
  try {
    return localStorage.getItem(KEY) ?? 'curl';
  } catch {
    return 'curl';
  }
}

/** @param {string} name */
function choose(name) {
  chosen = name;
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // The browser blocks storage; the choice then lasts until the page is closed.
  }
  watchers.forEach((watcher) => watcher(name));
}

/** @returns {[string, (name: string) => void]} */
export function useLanguage() {
  const [name, setName] = useState(chosen);
  useEffect(() => {
    watchers.add(setName);
    return () => void watchers.delete(setName);
  }, []);
  return [name, choose];
}
