// @ts-check
import { html, useState } from '../../vendor/preact.js';
import { postOnce } from '../../lib/api.js';
import { EVENT_SCOPES } from '../../lib/scopes.js';
import { Dialog } from '../../parts/dialog.js';
import { Checks, Field, useForm } from '../../parts/field.js';
import { Failure } from '../../parts/state.js';
import { say } from '../../parts/toasts.js';

/**
 * @param {{subscription: import('../../lib/types').Subscription | null, granted: string[], onClose: () => void, onSaved: (secret?: string) => void}} props
 */
export function SubscriptionForm({ subscription, granted, onClose, onSaved }) {
  const allowed = EVENT_SCOPES.filter((scope) => granted.includes(scope));
  const [scopes, setScopes] = useState(subscription?.scopes ?? allowed);
  const { busy, error, onSubmit } = useForm(async ({ hookUrl }, once) => {
    const { message, data } = await postOnce('/v1/webhooks/signup', { hookUrl: hookUrl.trim(), scopes }, once);
    say(message);
    onSaved(data.secret);
  });
  return html`<${Dialog} title=${subscription ? 'Change the subscription' : 'Subscribe to events'} onClose=${onClose}>
    <form class="form" onSubmit=${onSubmit}>
      <${Field} label="Endpoint URL" name="hookUrl" type="url" required maxlength="2048" value=${subscription?.hookUrl ?? ''} error=${error}
        placeholder="https://partner.example.com/officepro/webhooks" hint="An https URL with a public address. It must return a 2xx status within 15 seconds." />
      <${Checks} legend="Events" name="scopes" options=${allowed} chosen=${scopes} onChange=${setScopes} error=${error} hint="The events that your key grants" />
      <${Failure} error=${error} />
      <div class="button-row"><button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${busy || !scopes.length}>${busy ? 'Saving…' : 'Save'}</button></div>
    </form>
  <//>`;
}
