// @ts-check
import { html } from '../vendor/preact.js';
import { formatDuration, formatNumber } from '../lib/format.js';

/** @param {{name: string, value: string, note?: any, to?: string}} props */
export function Tile({ name, value, note, to }) {
  const inside = html`<div class="name">${name}</div><div class="value">${value}</div>${note && html`<div class="note">${note}</div>`}`;
  return to ? html`<a class="card tile" href=${to}>${inside}</a>` : html`<div class="card tile">${inside}</div>`;
}

/**
 * @param {{usage: import('../lib/types').UsageSummary, links?: {all: string, good: string, errors: string}}} props
 */
export function UsageTiles({ usage, links }) {
  return html`<div class="tiles">
    <${Tile} name="Total Calls" value=${formatNumber(usage.totalCalls)} note=${`Last ${usage.days.length} days`} to=${links?.all} />
    <${Tile} name="Success Rate" value=${`${usage.successRate}%`} note="Status below 400" to=${links?.good} />
    <${Tile} name="Avg Duration" value=${formatDuration(usage.avgDurationMs)} note=${`p95 ${formatDuration(usage.p95DurationMs)}`} to=${links?.all} />
    <${Tile} name="Error Count" value=${formatNumber(usage.errorCount)} note="Status 400 and above" to=${links?.errors} />
  </div>`;
}
