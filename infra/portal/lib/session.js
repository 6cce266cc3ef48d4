// @ts-check
// Who is signed in, and for how long yet. The server decides; this only counts along, to warn in time.
import { useEffect, useState } from '../vendor/preact.js';
import { call, onAnswer } from './api.js';

/** Idle time of a session at the server. */
const IDLE = 15 * 60_000;
/** So long before the end people are asked whether they are still there. */
const WARNING = 2 * 60_000;
/** Background calls stop when nobody has touched the page for so long: a forgotten page must not stay signed in. */
const AWAY = 5 * 60_000;

/** @typedef {{role: 'admin' | 'partner', partner?: string, keyName?: string, practicepass?: string, scopes?: string[], expiresAt: string}} User */
/** @typedef {{state: 'unknown' | 'out' | 'in' | 'expired', user: User | null, error: unknown}} Session */

/** @type {Session} */
let session = { state: 'unknown', user: null, error: null };
let idleEnd = 0;
let lastTouch = Date.now();
/** @type {Set<() => void>} */
const watchers = new Set();

/** @param {Partial<Session>} change */
function set(change) {
  session = { ...session, ...change };
  watchers.forEach((watcher) => watcher());
}

for (const event of ['pointerdown', 'keydown', 'wheel', 'touchstart']) {
  addEventListener(event, () => (lastTouch = Date.now()), { passive: true });
}

onAnswer((status) => {
  if (session.state !== 'in') return;
  if (status === 401) set({ state: 'expired' });
  else idleEnd = Date.now() + IDLE;
});

/**
 * Whether asking who is signed in can be worth it; a guess, for the cookie itself can't be seen here. Without it each first
 * visit would begin with a refused call.
 */
const hint = {
  get: () => attempt(() => localStorage.getItem('portal-session')) === 'yes',
  set: (/** @type {boolean} */ on) => void attempt(() => (on ? localStorage.setItem('portal-session', 'yes') : localStorage.removeItem('portal-session'))),
};

/** Browsers that block storage throw. @template T @param {() => T} work */
function attempt(work) {
  try {
    return work();
  } catch {
    return null;
  }
}

/** @param {User} user */
function signedIn(user) {
  hint.set(true);
  idleEnd = Date.now() + IDLE;
  lastTouch = Date.now();
  set({ state: 'in', user, error: null });
}

/** Asks the server who is signed in. */
export async function readSession() {
  if (session.state === 'unknown' && !hint.get()) return set({ state: 'out' });
  try {
    signedIn((await call('GET', '/v1/portal/session')).data);
  } catch (error) {
    const status = /** @type {{status?: number}} */ (error).status;
    if (status === 401) {
      hint.set(false);
      // An earlier answer may have told already that it expired.
      set({ state: session.state === 'in' || session.state === 'expired' ? 'expired' : 'out', error: null });
    } else set({ error });
  }
}

/** @param {string} accessKey */
export async function signIn(accessKey) {
  signedIn((await call('POST', '/v1/portal/session', { accessKey })).data);
}

export async function signOut() {
  try {
    await call('DELETE', '/v1/portal/session');
  } finally {
    // Also when it had ended already, or can't be reached: this page forgets who it was.
    hint.set(false);
    set({ state: 'out', user: null, error: null });
  }
}

export function useSession() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const watcher = () => redraw((count) => count + 1);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
  return session;
}

/** Milliseconds until the session ends if nothing is done; infinite while nobody is signed in. */
export const idleLeft = () => (session.state === 'in' ? idleEnd - Date.now() : Infinity);

export const isWarningTime = () => idleLeft() < WARNING;

/** Whether somebody still uses the page. */
export const isAttended = () => document.visibilityState === 'visible' && Date.now() - lastTouch < AWAY;
