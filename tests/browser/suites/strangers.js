import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage, settled } from '../support/browser.js';
import { PARTNER } from '../support/pages.js';
import { api } from '../support/stack.js';

/** Runs as a script wherever it is interpreted as markup, a URL or an attribute. */
const MARKUP = `"><img src=x onerror="window.ran('img')"><script>window.ran('script')</script><svg onload="window.ran('svg')">\${window.ran('template')}`;
const short = '"><img src=x onerror=ran(1)><script>ran(2)</script>';

/** Checks that what outsiders enter is shown as text, wherever it is shown. */
export function strangers(world) {
  test('script in any displayed field never runs', async () => {
    const { stack, hook } = world;
    const admin = (method, path, body) => api(stack, method, path, { body, admin: true });
    const request = await api(stack, 'POST', '/v1/access-requests', {
      body: { company: `Evil ${MARKUP}`.slice(0, 200), practice: MARKUP.slice(0, 200), contact: MARKUP.slice(0, 200), email: 'evil@evil.example', message: MARKUP },
    });
    assert.equal(request.status, 202);
    const partner = await admin('POST', '/v1/admin/partners', { company: short, contactName: MARKUP.slice(0, 200), website: 'https://evil.example/?"><script>ran(3)</script>' });
    const partnerId = partner.body.data?.id ?? (await admin('POST', '/v1/admin/partners', { company: short, contactName: short })).body.data.id;
    const scopes = ['Prospects', 'Tickets', 'Patients'];
    const key = await admin('POST', '/v1/admin/keys', { partnerId, name: short, practicepass: 'DemoOffice', scopes });
    assert.equal(key.status, 201);
    const token = (await api(stack, 'POST', '/v1/DemoOffice/auth/token', { body: { apiKey: key.body.data.apiKey } })).body.accessToken;
    const ticket = await api(stack, 'POST', '/v1/DemoOffice/tickets', { token, body: { Subject: short, Description: MARKUP } });
    assert.equal(ticket.status, 201);
    hook.answer = { status: 500, body: MARKUP };
    assert.ok((await api(stack, 'POST', '/v1/webhooks/signup', { token, body: { hookUrl: `${hook.url}?x="><script>ran(4)</script>`, scopes: ['Patients'] } })).status < 300);
    await api(stack, 'POST', '/v1/webhooks/test', { token });
    hook.answer = { status: 200, body: '' };

    const it = await openPage(world.browser, stack);
    const { page } = it;
    await asAdmin(page, stack);
    for (const path of ['/admin', '/admin/partners', '/admin/keys', '/admin/access-requests', '/admin/activity', '/admin/webhooks', '/admin/audit', `/admin/activity?partner=${encodeURIComponent(MARKUP)}`, `/docs/${encodeURIComponent(MARKUP)}`]) {
      await page.goto(`/#${path}`);
      await settled(page);
    }
    await page.goto('/#/admin/access-requests');
    await page.getByRole('button', { name: /^Details of Evil/ }).first().click();
    await page.getByRole('dialog').getByText("window.ran('script')").first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Approve Evil/ }).first().click();
    await page.getByRole('dialog').getByText("window.ran('img')").first().waitFor();
    it.check('administrator');
    await it.close();

    const own = await openPage(world.browser, stack);
    await asPartner(own.page, stack, { apiKey: key.body.data.apiKey });
    for (const [path] of PARTNER) {
      await own.page.goto(`/#${path}`);
      await settled(own.page);
    }
    await own.page.goto('/#/docs/getTicket');
    const article = own.page.locator('article', { has: own.page.locator('[data-anchor="getTicket"]') });
    await article.getByRole('button', { name: /^Try it/ }).click();
    await article.locator('[name="id"]').fill(String(ticket.body.data.TicketID));
    await article.getByRole('button', { name: 'Send GET' }).click();
    await article.locator('.answer', { hasText: "window.ran('svg')" }).waitFor();
    own.check('partner');
    await own.close();
  });
}
