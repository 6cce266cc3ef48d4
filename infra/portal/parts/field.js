// @ts-check
// Form fields with labels, hints and error messages.
import { html, useEffect, useId, useRef, useState } from '../vendor/preact.js';

/**
 * Returns the error messages for a field of the body, e.g. those of 'body.email' for 'email'.
 * @param {any} error @param {string} name
 */
export function problemFor(error, name) {
  const found = (error?.errors ?? []).filter((/** @type {any} */ it) => {
    const place = String(it.location).replace(/^body\./, '');
    return place === name || place.startsWith(`${name}.`) || place.startsWith(`${name}[`);
  });
  return found.map((/** @type {any} */ it) => it.message).join('; ');
}

/**
 * A form field. Without `onInput`, it manages its own text, starting with `value`.
 * @param {{label: string, name: string, value?: string, hint?: any, error?: any, type?: string, rows?: number, options?: (string | [string, string])[],
 *   list?: string[], onInput?: (value: string) => void, class?: string, [attribute: string]: any}} props
 */
export function Field({ label, name, hint, error, rows, options, list, onInput, value, class: className = '', ...rest }) {
  const id = useId();
  const [own, setOwn] = useState(value ?? '');
  const shown = onInput ? (value ?? '') : own;
  const change = onInput ?? setOwn;
  const problem = problemFor(error, name);
  const shared = {
    id,
    name,
    class: `input ${className}`,
    'aria-invalid': problem ? 'true' : undefined,
    'aria-describedby': [problem && `${id}-problem`, hint && `${id}-hint`].filter(Boolean).join(' ') || undefined,
    value: shown,
    onInput: (/** @type {any} */ event) => change(event.currentTarget.value),
    list: list && `${id}-list`,
    ...rest,
  };
  const control = options
    ? html`<select ...${shared}>${options.map((option) => {
        const [choice, text] = Array.isArray(option) ? option : [option, option];
        return html`<option value=${choice} selected=${choice === shown}>${text}</option>`;
      })}</select>`
    : rows
      ? html`<textarea rows=${rows} ...${shared}></textarea>`
      : html`<input type="text" ...${shared} />`;
  return html`<div class="field">
    <label for=${id}>${label}${rest.required && html`<span aria-hidden="true"> *</span>`}</label>
    ${control}
    ${list && html`<datalist id=${`${id}-list`}>${list.map((value) => html`<option value=${value} />`)}</datalist>`}
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
    ${problem && html`<span class="problem" id=${`${id}-problem`}>${capital(problem)}</span>`}
  </div>`;
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * @param {{legend: string, name: string, options: string[], chosen: string[], onChange: (chosen: string[]) => void, error?: any, hint?: any}} props
 */
export function Checks({ legend, name, options, chosen, onChange, error, hint }) {
  const id = useId();
  const problem = problemFor(error, name);
  /** @param {string} option @param {boolean} on */
  const toggle = (option, on) => onChange(options.filter((it) => (it === option ? on : chosen.includes(it))));
  return html`<fieldset class="field" aria-describedby=${problem ? `${id}-problem` : undefined}>
    <legend class="legend">${legend}</legend>
    ${hint && html`<span class="hint">${hint}</span>`}
    <div class="checks">${options.map((option) => html`<label>
      <input type="checkbox" name=${name} value=${option} checked=${chosen.includes(option)}
        onChange=${(/** @type {any} */ event) => toggle(option, event.currentTarget.checked)} />${option}</label>`)}</div>
    ${problem && html`<span class="problem" id=${`${id}-problem`}>${capital(problem)}</span>`}
  </fieldset>`;
}

/**
 * A form that submits once at a time. After an error, the first invalid field gets the focus.
 * @param {(values: Record<string, string>, once: string) => Promise<void>} work
 */
export function useForm(work) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const once = useRef({ content: '', key: '' });
  useEffect(() => {
    if (error) /** @type {HTMLElement | null} */ (form.current?.querySelector('[aria-invalid="true"]'))?.focus();
  }, [error]);
  /** @param {SubmitEvent} event */
  async function onSubmit(event) {
    event.preventDefault();
    if (busy) return;
    form.current = /** @type {HTMLFormElement} */ (event.currentTarget);
    const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form.current)));
    const content = JSON.stringify([...new FormData(form.current)]);
    // A retry with the same values uses the same idempotency key; changed values get a new one.
    if (once.current.content !== content) once.current = { content, key: crypto.randomUUID() };
    setBusy(true);
    setError(null);
    try {
      await work(values, once.current.key);
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy(false);
    }
  }
  return { busy, error, onSubmit };
}
