// @ts-check
import { html, useEffect, useState } from '../vendor/preact.js';
import { idleLeft, isWarningTime, readSession, signOut } from '../lib/session.js';
import { Dialog } from './dialog.js';

/** Asks in time whether somebody is still there; when nobody is, the session ends here as it does at the server. */
export function IdleWarning() {
  const [left, setLeft] = useState(Infinity);
  useEffect(() => {
    const timer = setInterval(() => {
      // The server has the last word: another tab may have used the session meanwhile.
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
