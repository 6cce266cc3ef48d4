// @ts-check
import { html, useEffect, useId, useRef, useState } from '../vendor/preact.js';
import { Failure } from './state.js';

/**
 * A modal dialog. The browser's dialog element traps the focus; closing returns it to the opener.
 * @param {{title: string, onClose: () => void, children?: any, locked?: boolean}} props `locked`: only a button closes it.
 */
export function Dialog({ title, onClose, children, locked = false }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      shown?.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return html`<dialog ref=${dialog} aria-labelledby=${id}
    onCancel=${(/** @type {Event} */ event) => {
      event.preventDefault();
      if (!locked) onClose();
    }}><div class="in"><h2 id=${id}>${title}</h2>${children}</div></dialog>`;
}

/**
 * Asks for confirmation before an action.
 * @param {{title: string, action: string, work: () => Promise<void>, onClose: () => void, danger?: boolean, children?: any}} props
 */
export function Confirm({ title, action, work, onClose, danger = false, children }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  async function run() {
    setBusy(true);
    setError(null);
    try {
      await work();
      onClose();
    } catch (failed) {
      setError(failed);
      setBusy(false);
    }
  }
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <div>${children}</div>
    <${Failure} error=${error} />
    <div class="button-row">
      <button type="button" class="button" onClick=${onClose}>Cancel</button>
      <button type="button" class=${`button ${danger ? 'danger' : 'primary'}`} disabled=${busy} onClick=${run}>${busy ? 'Working…' : action}</button>
    </div>
  <//>`;
}
