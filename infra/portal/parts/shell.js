// @ts-check
// The layout of every page after sign-in: navigation, current user, sign-out and theme.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { signOut } from '../lib/session.js';
import { go } from '../lib/router.js';
import { ZONE } from '../lib/format.js';
import { applyTheme, theme } from '../lib/theme.js';
import { say } from './toasts.js';

const ADMIN = [
  ['/admin', 'Overview'], ['/admin/partners', 'Partners'], ['/admin/keys', 'API Keys'], ['/admin/access-requests', 'API Access Requests'],
  ['/admin/activity', 'Recent Activity'], ['/admin/webhooks', 'Webhook Monitor'], ['/admin/audit', 'Audit Log'], ['/docs', 'API Documentation'],
];
const PARTNER = [['/docs', 'API Documentation'], ['/usage', 'Usage'], ['/webhooks', 'Webhooks'], ['/key', 'My API Key'], ['/me', 'My Information']];

/** @param {{user: import('../lib/session.js').User, path: string, title: string, children?: any}} props */
export function Shell({ user, path, title, children }) {
  const [open, setOpen] = useState(false);
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    // After navigation, keyboard and screen reader start at the content, as after a page load.
    if (first.current) first.current = false;
    else {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [title]);
  const links = user.role === 'admin' ? ADMIN : PARTNER;
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <header class="topbar"><${Brand} />
      <button type="button" class="button small" aria-expanded=${open} aria-controls="side" onClick=${() => setOpen(!open)}>Menu</button></header>
    <div class="shell">
      <aside id="side" class=${`side ${open ? 'open' : ''}`} aria-label="Portal"
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && setOpen(false)}>
        <${Brand} />
        <nav aria-label="Pages"><ul class="plain">${links.map(([to, name]) => html`<li key=${to}>
          <a href=${`#${to}`} onClick=${() => setOpen(false)} aria-current=${isCurrent(to, path) ? 'page' : undefined}>${name}</a></li>`)}</ul></nav>
        <${Foot} user=${user} />
      </aside>
      <main id="main" ref=${main} tabindex="-1">${children}
        <p class="zone-note">Times are shown in your time zone (${ZONE}); usage is counted in UTC days.</p></main>
    </div>`;
}

/** @param {string} to @param {string} path */
const isCurrent = (to, path) => to === path || (to === '/docs' && path.startsWith('/docs/'));

export function Brand() {
  return html`<a class="brand" href="#/"><img src="logo.svg" alt="" width="28" height="28" /><span>OfficePro<small>Partner Portal</small></span></a>`;
}

/** @param {{user: import('../lib/session.js').User}} props */
function Foot({ user }) {
  async function leave() {
    try {
      await signOut();
    } catch {
      say('You are signed out in this browser. On the server, the session may last up to 15 more minutes.');
    }
    go('/');
  }
  return html`<div class="side-foot">
    <div class="who small"><strong>${user.role === 'admin' ? 'Administrator' : user.partner}</strong>
      <span class="muted">${user.role === 'admin' ? 'Admin secret' : `${user.keyName} · ${user.practicepass}`}</span></div>
    <div class="row"><${ThemeChoice} /><button type="button" class="button small" onClick=${leave}>Sign out</button></div>
  </div>`;
}

export function ThemeChoice() {
  const [chosen, setChosen] = useState(theme);
  /** @param {any} event */
  function choose(event) {
    const choice = event.currentTarget.value;
    applyTheme(choice);
    setChosen(choice);
  }
  return html`<label><span class="hidden-text">Appearance</span><select class="input small" value=${chosen} onChange=${choose}>
    <option value="auto">System</option><option value="light">Light</option><option value="dark">Dark</option></select></label>`;
}
