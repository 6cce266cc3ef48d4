// @ts-check
import { html } from '../../vendor/preact.js';
import { formatNumber } from '../../lib/format.js';
import { Time } from '../../parts/badges.js';
import { Card } from '../../parts/page.js';
import { Empty } from '../../parts/state.js';
import { Table } from '../../parts/table.js';

/** How far each practice's log has been read, and what in it is out of the ordinary. @param {{data: import('../../lib/types').Monitor}} props */
export function DispatchStates({ data }) {
  return html`<${Card} title="Log read up to">${data.dispatchStates.length
    ? html`<${Table} caption="Dispatch states" rows=${data.dispatchStates} id=${(/** @type {any} */ it) => it.practicepass} columns=${[
        { label: 'PPass', cell: (/** @type {any} */ it) => html`<code>${it.practicepass}</code>` },
        { label: 'Last log id', class: 'number', cell: (/** @type {any} */ it) => it.lastLogId },
        { label: 'Notes', class: 'wide', cell: (/** @type {import('../../lib/types').DispatchState} */ it) => html`<${Notes} state=${it} />` },
      ]} />${data.dispatchStatesOmitted && html`<p class="more">And ${formatNumber(data.dispatchStatesOmitted)} more practices.</p>`}`
    : html`<${Empty}>No practice's log has been read yet.<//>`}<//>`;
}

/** @param {{state: import('../../lib/types').DispatchState}} props */
function Notes({ state }) {
  const notes = [
    state.epoch && html`Began anew ${state.epoch === 1 ? 'once' : `${state.epoch} times`}, last <${Time} at=${state.epochSince} ago />`,
    ...(state.islands ?? []).map((it) => `Stray ids ${it.from === it.to ? it.from : `${it.from} to ${it.to}`}`),
    state.gaps && `${formatNumber(state.gaps)} ranges of ids skipped`,
    state.droppedGaps && `${formatNumber(state.droppedGaps)} ranges given up too early`,
    state.unreadableRows && `${formatNumber(state.unreadableRows)} rows not readable, the last ${state.lastUnreadableLogId}`,
    state.unreadableTimes && `${formatNumber(state.unreadableTimes)} times not readable`,
    ...(state.unknown ?? []).map((it) => `No event: ${it.table}, ${it.action} (${formatNumber(it.rows)})`),
    state.otherUnknownRows && `No event: ${formatNumber(state.otherUnknownRows)} others`,
  ].filter(Boolean);
  return notes.length ? html`<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul>` : '–';
}
