// @ts-check
import { html } from '../vendor/preact.js';

/** Renders paragraphs with `code`, the format of descriptions. @param {{text: string}} props */
export function Prose({ text }) {
  const paragraphs = text.split(/\n{2,}/).filter((it) => it.trim());
  return html`${paragraphs.map((paragraph) => html`<p>${inline(paragraph)}</p>`)}`;
}

/** @param {string} text */
export const inline = (text) => text.split(/(`[^`]+`)/).map((part) => (part.length > 2 && part.startsWith('`') && part.endsWith('`') ? html`<code>${part.slice(1, -1)}</code>` : part));
