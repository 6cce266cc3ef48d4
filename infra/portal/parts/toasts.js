// @ts-check
// Short status messages. Screen readers announce them, and they disappear by themselves.
import { html, useEffect, useState } from '../vendor/preact.js';

/** @type {{id: number, text: string}[]} */
let messages = [];
/** @type {Set<() => void>} */
const watchers = new Set();
let last = 0;

/** @param {string} text */
export function say(text) {
  const id = ++last;
  messages = [...messages.slice(-2), { id, text }];
  watchers.forEach((watcher) => watcher());
  setTimeout(() => {
    messages = messages.filter((it) => it.id !== id);
    watchers.forEach((watcher) => watcher());
  }, 5000);
}

export function Toasts() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const watcher = () => redraw((count) => count + 1);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">${messages.map((it) => html`<div class="toast" key=${it.id}>${it.text}</div>`)}</div>`;
}
