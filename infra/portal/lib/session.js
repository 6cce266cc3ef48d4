// @ts-check
// Who is signed in, and for how long. The server decides; this only keeps count, to warn in time.
import { useEffect, useState } from '../vendor/preact.js';
import { call, onAnswer } from './api.js';

/** Idle timeout of a session on the server, in milliseconds. */
const IDLE = 15 * 60_000;
/** How long before its end to warn that the session ends, in milliseconds. */
const WARNING = 2 * 60_000;
/** Milliseconds of inactivity until background calls stop: a forgotten page must be signed out. */
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
 * Remembers whether there may be a session, because scripts cannot see the cookie.
 *
 * Without this hint, every first visit would start with a rejected call.
 */
const hint = {
  get: () => attempt(() => localStorage.getItem('portal-session')) === 'yes',
  set: (/** @type {boolean} */ on) => void attempt(() => (on ? localStorage.setItem('portal-session', 'yes') : localStorage.removeItem('portal-session'))),
};

/** Returns null if the browser blocks storage. @template T @param {() => T} work */
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

/** Reads from the server who is signed in. */
export async function readSession() {
  if (session.state === 'unknown' && !hint.get()) return set({ state: 'out' });
  try {
    signedIn((await call('GET', '/v1/portal/session')).data);
  } catch (error) {
    const status = /** @type {{status?: number}} */ (error).status;
    if (status === 401) {
      hint.set(false);
      // An earlier response may already have shown that the session expired.
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
    // Forget the user even if the session had already ended or the API cannot be reached.
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

/** Milliseconds until an unused session ends; infinite if nobody is signed in. */
export const idleLeft = () => (session.state === 'in' ? idleEnd - Date.now() : Infinity);

export const isWarningTime = () => idleLeft() < WARNING;

/** Whether somebody is using the page. */
export const isAttended = () => document.visibilityState === 'visible' && Date.now() - lastTouch < AWAY;
