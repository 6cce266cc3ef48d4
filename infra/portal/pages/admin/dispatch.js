// @ts-check
import { html } from '../../vendor/preact.js';
import { formatNumber } from '../../lib/format.js';
import { Time } from '../../parts/badges.js';
import { Card } from '../../parts/page.js';
import { Empty } from '../../parts/state.js';
import { Table } from '../../parts/table.js';

/** How far each practice's event log has been read, and its anomalies. @param {{data: import('../../lib/types').Monitor}} props */
export function DispatchStates({ data }) {
  return html`<${Card} title="Event logs">${data.dispatchStates.length
    ? html`<${Table} caption="Dispatch states" rows=${data.dispatchStates} id=${(/** @type {any} */ it) => it.practicepass} columns=${[
        { label: 'PPass', cell: (/** @type {any} */ it) => html`<code>${it.practicepass}</code>` },
        { label: 'Last log id', class: 'number', cell: (/** @type {any} */ it) => it.lastLogId },
        { label: 'Notes', class: 'wide', cell: (/** @type {import('../../lib/types').DispatchState} */ it) => html`<${Notes} state=${it} />` },
      ]} />${data.dispatchStatesOmitted && html`<p class="more">And ${formatNumber(data.dispatchStatesOmitted)} more practices.</p>`}`
    : html`<${Empty}>No practice's event log has been read yet.<//>`}<//>`;
}

/** @param {{state: import('../../lib/types').DispatchState}} props */
function Notes({ state }) {
  const notes = [
    state.epoch && html`Restarted ${state.epoch === 1 ? 'once' : `${state.epoch} times`}, last <${Time} at=${state.epochSince} ago />`,
    ...(state.islands ?? []).map((it) => `Isolated ids ${it.from === it.to ? it.from : `${it.from} to ${it.to}`}`),
    state.gaps && `${formatNumber(state.gaps)} skipped ranges of ids`,
    state.droppedGaps && `${formatNumber(state.droppedGaps)} ranges abandoned early`,
    state.unreadableRows && `${formatNumber(state.unreadableRows)} unreadable rows, the last one with id ${state.lastUnreadableLogId}`,
    state.unreadableTimes && `${formatNumber(state.unreadableTimes)} unreadable times`,
    ...(state.unknown ?? []).map((it) => `Not an event: ${it.table}, ${it.action} (${formatNumber(it.rows)})`),
    state.otherUnknownRows && `Not an event: ${formatNumber(state.otherUnknownRows)} others`,
  ].filter(Boolean);
  return notes.length ? html`<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul>` : '–';
}
