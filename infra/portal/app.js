// @ts-check
// Chooses the page to show. A page's code is loaded when the page is first opened.
import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { go, useRoute } from './lib/router.js';
import { readSession, useSession } from './lib/session.js';
import { Shell } from './parts/shell.js';
import { IdleWarning } from './parts/idle.js';
import { Failure, Loading } from './parts/state.js';
import { Toasts } from './parts/toasts.js';
import { Login } from './pages/login.js';

/** @typedef {{title: string, load: () => Promise<any>, for?: 'admin' | 'partner' | 'both', open?: boolean}} Page `open`: also for those who are not signed in. */

/** @type {Record<string, Page>} */
const PAGES = {
  '/request-access': { title: 'Request access', load: async () => (await import('./pages/request-access.js')).RequestAccess },
  '/claim': { title: 'Claim your API key', load: async () => (await import('./pages/claim.js')).Claim },
  '/docs': { title: 'API Documentation', for: 'both', open: true, load: async () => (await import('./pages/docs/docs.js')).Docs },
  '/me': { title: 'My Information', for: 'partner', load: async () => (await import('./pages/me.js')).MyInformation },
  '/key': { title: 'My API Key', for: 'partner', load: async () => (await import('./pages/my-key.js')).MyKey },
  '/webhooks': { title: 'Webhooks', for: 'partner', load: async () => (await import('./pages/webhooks/webhooks.js')).Webhooks },
  '/usage': { title: 'Usage', for: 'partner', load: async () => (await import('./pages/usage.js')).Usage },
  '/admin': { title: 'Dashboard Overview', for: 'admin', load: async () => (await import('./pages/admin/overview.js')).Overview },
  '/admin/partners': { title: 'Partners', for: 'admin', load: async () => (await import('./pages/admin/partners.js')).Partners },
  '/admin/keys': { title: 'API Keys', for: 'admin', load: async () => (await import('./pages/admin/keys.js')).Keys },
  '/admin/access-requests': { title: 'API Access Requests', for: 'admin', load: async () => (await import('./pages/admin/access-requests.js')).AccessRequests },
  '/admin/activity': { title: 'Recent Activity', for: 'admin', load: async () => (await import('./pages/admin/activity.js')).Activity },
  '/admin/webhooks': { title: 'Webhook Monitor', for: 'admin', load: async () => (await import('./pages/admin/webhooks.js')).WebhookMonitor },
  '/admin/audit': { title: 'Audit Log', for: 'admin', load: async () => (await import('./pages/admin/audit.js')).Audit },
};

const SITE = 'OfficePro Partner Portal';

/** @param {string} path */
const pageOf = (path) => PAGES[path] ?? (path.startsWith('/docs/') ? PAGES['/docs'] : undefined);

export function App() {
  const { path, query } = useRoute();
  const session = useSession();
  const page = pageOf(path);
  useEffect(() => void readSession(), []);
  const { role } = session.user ?? {};
  const isPublic = Boolean(page && !page.for);
  const home = role === 'admin' ? '/admin' : '/docs';
  useEffect(() => {
    if (session.state === 'in' && (path === '/' || path === '/login')) go(home);
  }, [session.state, path]);
  const signedIn = session.state === 'in';
  useEffect(() => {
    const title = isPublic || signedIn || page?.open ? page?.title : 'Login';
    document.title = title ? `${title} · ${SITE}` : SITE;
  }, [page, signedIn]);
  return html`${content()}<${Toasts} />`;

  function content() {
    // A different claim link is a different page.
    if (isPublic && page) return html`<${Loaded} key=${`${path} ${query.get('claim') ?? ''}`} page=${page} path=${path} query=${query} />`;
    if (session.error && session.state === 'unknown') {
      return html`<div class="gate"><main><${Failure} error=${session.error} retry=${readSession} /></main></div>`;
    }
    if (session.state === 'unknown') return html`<p class="boot" role="status">Loading the portal…</p>`;
    if (session.state === 'out' && page?.open) return html`<${Loaded} key=${page.title} page=${page} path=${path} query=${query} />`;
    if (!signedIn || !session.user) return html`<${Login} expired=${session.state === 'expired'} />`;
    const allowed = page && (page.for === 'both' || page.for === role);
    return html`<${Shell} user=${session.user} path=${path} title=${page?.title ?? ''}>
      ${allowed
        ? html`<${Loaded} key=${page.title} page=${page} path=${path} query=${query} user=${session.user} />`
        : path === '/' || path === '/login' ? null : html`<${NotFound} home=${home} />`}
    <//><${IdleWarning} />`;
  }
}

/** @param {{page: Page, path: string, query: URLSearchParams, user?: any}} props */
function Loaded({ page, path, query, user }) {
  const [loaded, setLoaded] = useState(/** @type {{component: any, error: any}} */ ({ component: null, error: null }));
  const [round, setRound] = useState(0);
  const mounted = useRef(true);
  useEffect(() => {
    page.load().then(
      (component) => mounted.current && setLoaded({ component, error: null }),
      () => mounted.current && setLoaded({ component: null, error: { title: 'This page could not be loaded', message: 'Check your connection and try again.' } }),
    );
  }, [page, round]);
  useEffect(() => () => void (mounted.current = false), []);
  // Browsers do not fetch a failed module again, so the second retry reloads the whole page.
  if (loaded.error) return html`<${Failure} error=${loaded.error} retry=${() => (round ? location.reload() : setRound(1))} />`;
  if (!loaded.component) return html`<${Loading} />`;
  return html`<${loaded.component} path=${path} query=${query} user=${user} />`;
}

/** @param {{home: string}} props */
function NotFound({ home }) {
  return html`<h1>Page not found</h1><p><a href=${`#${home}`}>Go to the home page</a></p>`;
}
