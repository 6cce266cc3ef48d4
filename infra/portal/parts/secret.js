// @ts-check
// Values that are shown only once: keys, secrets and claim links.
import { html, useId, useState } from '../vendor/preact.js';
import { CopyButton } from './copy.js';
import { Dialog } from './dialog.js';

/** @param {{text: string, name: string}} props */
export function Secret({ text, name }) {
  return html`<div class="secret"><code aria-label=${name} data-secret>${text}</code><${CopyButton} text=${text} /></div>`;
}

/**
 * A secret that stays visible until the user confirms that it is stored.
 * @param {{text: string, name: string, stored?: string, done: string, onDone: () => void, children?: any}} props
 */
export function StoredSecret({ text, name, stored = 'I have stored it', done, onDone, children }) {
  const [checked, setChecked] = useState(false);
  const id = useId();
  return html`<${Secret} text=${text} name=${name} />
    ${children}
    <label class="check" for=${id}><input id=${id} type="checkbox" checked=${checked}
      onChange=${(/** @type {any} */ event) => setChecked(event.currentTarget.checked)} />${stored}</label>
    <div class="button-row"><button type="button" class="button primary" disabled=${!checked} onClick=${onDone}>${done}</button></div>`;
}

/** @param {{title: string, text: string, name: string, onClose: () => void, children?: any}} props */
export function SecretDialog({ title, text, name, onClose, children }) {
  return html`<${Dialog} title=${title} onClose=${onClose} locked>
    <div class="notice warn">It is shown only once. Store it now.</div>
    <${StoredSecret} text=${text} name=${name} done="Close" onDone=${onClose}>${children}<//>
  <//>`;
}
