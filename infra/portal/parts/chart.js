// @ts-check
// Calls per day as bars, with the failed calls at the bottom, beside a table of the same figures.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { formatDay, formatNumber } from '../lib/format.js';
import { Table } from './table.js';

const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 24;
const TOP = 12;
/** Width of a day's label, in pixels. */
const NAME = 78;

/** Returns a round number that is at least `most`. @param {number} most */
function ceiling(most) {
  const size = 10 ** Math.floor(Math.log10(Math.max(most, 4)));
  return [1, 2, 4, 5, 10].map((step) => step * size).find((step) => step >= most) ?? most;
}

/**
 * @param {{title: string, days: import('../lib/types').DayUsage[], linkTo?: (date: string) => string}} props
 */
export function UsageChart({ title, days, linkTo }) {
  const [width, figure] = useWidth();
  const top = ceiling(Math.max(...days.map((it) => it.calls), 1));
  const plot = HEIGHT - BOTTOM - TOP;
  const step = (width - LEFT) / Math.max(days.length, 1);
  /** @param {number} value */
  const height = (value) => (value / top) * plot;
  // With many days, there is no room for every label.
  const every = Math.ceil(days.length / Math.max(1, Math.floor((width - LEFT) / NAME)));
  const bars = days.map((day, index) => {
    const x = LEFT + index * step;
    const name = `${formatDay(day.date)}: ${formatNumber(day.calls)} calls, ${formatNumber(day.errors)} errors`;
    const thick = Math.min(step * 0.62, 56);
    const at = x + (step - thick) / 2;
    const drawn = html`<title>${name}</title>
      <rect class="hit" x=${x} y=${TOP} width=${step} height=${plot} rx="4" />
      <rect class="calls" x=${at} y=${TOP + plot - height(day.calls)} width=${thick} height=${Math.max(height(day.calls), day.calls ? 1 : 0)} rx="3" />
      <rect class="errors" x=${at} y=${TOP + plot - height(day.errors)} width=${thick} height=${height(day.errors)} rx="2" />
      ${(days.length - 1 - index) % every === 0 && html`<text x=${Math.min(x + step / 2, width - NAME / 2)} y=${HEIGHT - 6} text-anchor="middle">${formatDay(day.date)}</text>`}`;
    return linkTo ? html`<a href=${linkTo(day.date)} aria-label=${name}>${drawn}</a>` : html`<g>${drawn}</g>`;
  });
  return html`<figure class="chart" ref=${figure} aria-label=${`${title}, chart`}>
    <svg viewBox=${`0 0 ${width} ${HEIGHT}`} role=${linkTo ? 'group' : 'img'} aria-label=${`${title}: calls and errors per day`}>
      ${[0, 0.25, 0.5, 0.75, 1].map((part) => html`
        <line class="grid" x1=${LEFT} x2=${width} y1=${TOP + plot * (1 - part)} y2=${TOP + plot * (1 - part)} />
        <text x=${LEFT - 8} y=${TOP + plot * (1 - part) + 4} text-anchor="end" aria-hidden="true">${formatNumber(Math.round(top * part * 10) / 10)}</text>`)}
      ${bars}
    </svg>
    <div class="legend-row"><span>Calls</span><span class="errors">Errors (included in calls)</span></div>
  </figure>`;
}

/** Tracks the width of a chart, so that its text keeps its size. @returns {[number, any]} */
function useWidth() {
  const [width, setWidth] = useState(640);
  const figure = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.round(entry.contentRect.width))));
    if (figure.current) observer.observe(figure.current);
    return () => observer.disconnect();
  }, []);
  return [width, figure];
}

/** @param {{title: string, days: import('../lib/types').DayUsage[], linkTo?: (date: string) => string}} props */
export function UsagePanel({ title, days, linkTo }) {
  /** @type {import('./table.js').Column<import('../lib/types').DayUsage>[]} */
  const columns = [
    { label: 'Day (UTC)', cell: (day) => (linkTo ? html`<a href=${linkTo(day.date)}>${formatDay(day.date)}</a>` : formatDay(day.date)), class: 'nowrap' },
    { label: 'Calls', cell: (day) => formatNumber(day.calls), class: 'number' },
    { label: 'Errors', cell: (day) => formatNumber(day.errors), class: 'number' },
    { label: 'Success', cell: (day) => (day.calls ? `${(100 - (100 * day.errors) / day.calls).toFixed(1)}%` : '–'), class: 'number' },
  ];
  return html`<section class="card"><header><h2>${title}</h2></header>
    <div class="chart-table"><${UsageChart} title=${title} days=${days} linkTo=${linkTo} />
      <${Table} caption=${`${title}, table`} columns=${columns} rows=${[...days].reverse()} id=${(/** @type {any} */ day) => day.date} narrow /></div></section>`;
}
