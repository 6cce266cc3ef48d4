// @ts-check
import { html, useEffect, useState } from '../vendor/preact.js';
import { say } from './toasts.js';

/** @param {{text: string, label?: string, name?: string, quiet?: boolean}} props `name`: the accessible name, if it is not the label. */
export function CopyButton({ text, label = 'Copy', name, quiet = false }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => setCopied(false), [text]);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say('Copied to the clipboard');
      setTimeout(() => setCopied(false), 2000);
    } catch {
      say('The browser did not allow copying. Select the text and copy it yourself.');
    }
  }
  return html`<button type="button" class=${`button small ${quiet ? 'quiet' : ''}`} aria-label=${name} onClick=${copy}>${copied ? 'Copied' : label}</button>`;
}

/** The id by which support finds a call. @param {{id: string}} props */
export function RequestId({ id }) {
  if (!id) return null;
  return html`<div class="request-id small muted">Request id <code>${id}</code><${CopyButton} text=${id} name="Copy the request id" quiet /></div>`;
}
