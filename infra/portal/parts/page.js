// @ts-check
import { html } from '../vendor/preact.js';

/** @param {{title: string, lead?: any, badge?: any, actions?: any}} props */
export function PageHead({ title, lead, badge, actions }) {
  return html`<div class="page-head"><h1>${title}</h1>${badge}
    ${actions && html`<div class="actions">${actions}</div>`}
    ${lead && html`<p class="lead">${lead}</p>`}</div>`;
}

/** @param {{title: string, end?: any, children?: any}} props */
export function Card({ title, end, children }) {
  return html`<section class="card"><header><h2>${title}</h2>${end && html`<div class="end">${end}</div>`}</header>${children}</section>`;
}
