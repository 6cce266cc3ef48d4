// @ts-check
import { html, render } from './vendor/preact.js';
import { App } from './app.js';
import { applyTheme } from './lib/theme.js';

applyTheme();
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.textContent = '';
render(html`<${App} />`, root);
