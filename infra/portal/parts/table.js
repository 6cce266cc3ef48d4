// @ts-check
import { html } from '../vendor/preact.js';
import { Empty, Failure, Loading } from './state.js';

/**
 * @template Row
 * @typedef {{label: string, cell: (row: Row) => any, class?: string}} Column
 */

/**
 * @param {{caption: string, columns: Column<any>[], rows: any[], id: (row: any) => string | number, narrow?: boolean}} props
 * `narrow`: the columns are few and short enough for a phone.
 */
export function Table({ caption, columns, rows, id, narrow = false }) {
  // A scrolling region must be reachable by keyboard.
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label=${caption}>
    <table class=${narrow ? '' : 'cards'}>
      <caption class="hidden-text">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.class ?? ''}>${column.label || html`<span class="hidden-text">Actions</span>`}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${id(row)}>${columns.map((column) => html`
        <td class=${column.class ?? ''} data-label=${column.label}>${column.cell(row)}</td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

/**
 * A table that loads its rows page by page.
 * @param {{pages: any, what: string, caption: string, columns: Column<any>[], id: (row: any) => string | number, empty: any}} props
 */
export function PagedTable({ pages, what, caption, columns, id, empty }) {
  const { rows, data, error, loading, reload } = pages;
  if (error && error.status !== 401) return html`<div class="body"><${Failure} error=${error} retry=${reload} /></div>`;
  if (!data) return html`<${Loading} what=${what} />`;
  return html`<div class=${loading ? 'stale' : ''} aria-busy=${loading}>
    ${rows.length ? html`<${Table} caption=${caption} columns=${columns} rows=${rows} id=${id} />` : html`<${Empty}>${empty}<//>`}
    ${(pages.hasMore || pages.moreError) && html`<div class="more">
      ${pages.moreError && html`<${Failure} error=${pages.moreError} />`}
      <button type="button" class="button" disabled=${pages.loadingMore || loading} onClick=${pages.loadMore}>${pages.loadingMore ? 'Loading…' : 'Show more'}</button>
      <span class="muted small">${rows.length} shown</span>
    </div>`}
  </div>`;
}
