// @ts-check
import { html, useEffect, useState } from '../vendor/preact.js';
import { idleLeft, isWarningTime, readSession, signOut } from '../lib/session.js';
import { Dialog } from './dialog.js';

/** Warns before the session ends from inactivity, and shows when it has ended on the server. */
export function IdleWarning() {
  const [left, setLeft] = useState(Infinity);
  useEffect(() => {
    const timer = setInterval(() => {
      // Ask the server whether the session has ended: another tab may have used it.
      if (idleLeft() <= 0) void readSession();
      setLeft(isWarningTime() ? Math.max(0, idleLeft()) : Infinity);
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  if (left === Infinity) return null;
  const seconds = Math.ceil(left / 1000);
  return html`<${Dialog} title="Are you still there?" onClose=${readSession}>
    <p>You will be signed out in <strong>${seconds >= 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds} s`}</strong>.</p>
    <div class="button-row">
      <button type="button" class="button" onClick=${() => signOut().catch(() => {})}>Sign out</button>
      <button type="button" class="button primary" onClick=${readSession}>Stay signed in</button>
    </div>
  <//>`;
}
