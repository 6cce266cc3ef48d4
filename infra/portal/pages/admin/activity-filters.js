// @ts-check
import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { changeQuery } from '../../lib/router.js';
import { Field } from '../../parts/field.js';

export const FILTERS = ['method', 'status', 'endpoint', 'partner', 'key', 'practicepass', 'ip', 'from', 'to', 'requestId'];

/** Pause in typing before a filter is applied, in milliseconds. */
const PAUSE = 500;

const STATUSES = [['', 'Any'], ['2xx', '2xx success'], ['3xx', '3xx'], ['errors', 'Errors (4xx, 5xx)'], ['4xx', '4xx client errors'], ['5xx', '5xx server errors'],
  ['400', '400'], ['401', '401'], ['403', '403'], ['404', '404'], ['409', '409'], ['422', '422'], ['429', '429'], ['500', '500'], ['503', '503']];

/** @param {{filter: Record<string, string>}} props */
export function ActivityFilters({ filter }) {
  const statuses = STATUSES.some(([value]) => value === filter.status) ? STATUSES : [...STATUSES, [filter.status, filter.status]];
  return html`<div class="filters" role="search" aria-label="Filters">
    <${Field} label="Method" name="method" value=${filter.method} onInput=${set('method')}
      options=${[['', 'Any'], 'GET', 'POST', 'PUT', 'PATCH', 'DELETE']} />
    <${Field} label="Status" name="status" value=${filter.status} onInput=${set('status')} options=${statuses} />
    <${Typed} label="Endpoint" name="endpoint" value=${filter.endpoint} placeholder="/v1/{PPass}/tags" />
    <${Typed} label="Partner" name="partner" value=${filter.partner} placeholder="Name or id" />
    <${Typed} label="Key" name="key" value=${filter.key} placeholder="Name or id" />
    <${Typed} label="PPass" name="practicepass" value=${filter.practicepass} />
    <${Typed} label="IP" name="ip" value=${filter.ip} />
    <${Typed} label="From (UTC)" name="from" value=${filter.from} ...${moment(filter.from)} />
    <${Typed} label="Before (UTC)" name="to" value=${filter.to} ...${moment(filter.to)} />
    <${Typed} label="Request id" name="requestId" value=${filter.requestId} />
  </div>`;
}

/** A date is picked from a calendar; an instant from a link is shown as text. @param {string} value */
const moment = (value) => ({ type: value.length > 10 ? 'text' : 'date' });

/** @param {string} name */
const set = (name) => (/** @type {string} */ value) => changeQuery({ [name]: value.trim() });

/** @param {{name: string, value: string, [attribute: string]: any}} props */
function Typed({ name, value, ...rest }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {string} typed */
  function onInput(typed) {
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(name)(typed), PAUSE);
  }
  return html`<${Field} name=${name} value=${text} onInput=${onInput} spellcheck=${false} autocomplete="off" ...${rest} />`;
}
