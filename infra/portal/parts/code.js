// @ts-check
import { html } from '../vendor/preact.js';
import { highlight } from '../lib/highlight.js';
import { CopyButton } from './copy.js';

/** Highlighted code. @param {{text: string, language: string}} props */
export const Code = ({ text, language }) => html`<code>${highlight(text, language).map(([kind, part]) => (kind ? html`<span class=${kind}>${part}</span>` : part))}</code>`;

/** A titled code block with a button to copy it. @param {{title: any, text: string, language: string, name?: string}} props `name`: the accessible name of a scrolling block. */
export function CodeBlock({ title, text, language, name }) {
  return html`<div class="block"><div class="block-head">${title}<${CopyButton} text=${text} /></div>
    <pre tabindex=${name ? 0 : undefined} role=${name ? 'region' : undefined} aria-label=${name}><${Code} text=${text} language=${language} /></pre></div>`;
}

/**
 * The same in several languages, one of which is shown. The choice applies to all samples.
 * @param {{samples: [name: string, text: string, language: string][], chosen: string, onChoose: (name: string) => void}} props
 */
export function Samples({ samples, chosen, onChoose }) {
  const [name, text, language] = samples.find(([name]) => name === chosen) ?? samples[0];
  const tabs = html`<div class="tabs" role="group" aria-label="Language">${samples.map(([one]) => html`<button type="button" key=${one} aria-pressed=${one === name}
    onClick=${() => onChoose(one)}>${one}</button>`)}</div>`;
  return html`<${CodeBlock} title=${tabs} text=${text} language=${language} />`;
}
