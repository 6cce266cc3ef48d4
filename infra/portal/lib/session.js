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

/** @param {User} user */
function signedIn(user) {
  idleEnd = Date.now() + IDLE;
  lastTouch = Date.now();
  set({ state: 'in', user, error: null });
}

/** Asks the server who is signed in. */
export async function readSession() {
  try {
    signedIn((await call('GET', '/v1/portal/session')).data);
  } catch (error) {
    const status = /** @type {{status?: number}} */ (error).status;
    if (status === 401) set({ state: session.state === 'in' ? 'expired' : session.state === 'unknown' ? 'out' : session.state, error: null });
    else set({ error });
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
