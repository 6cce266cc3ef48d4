import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage, settled, status } from '../support/browser.js';
import { rows, tile } from '../support/figures.js';
import { api } from '../support/stack.js';
import { stored } from './administration.js';

export function partner(world) {
  test('a partner can manage webhooks, and the administrator sees the deliveries', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    // The API returns 404 while there is no subscription, which the browser logs.
    it.allowed.push(status(404), status(422));
    const { body } = await api(world.stack, 'POST', '/v1/DemoOffice/auth/token', { body: { apiKey: world.stack.keys[0].apiKey } });
    // Another suite may have left a subscription.
    await api(world.stack, 'DELETE', '/v1/webhooks', { token: body.accessToken });
    await asPartner(page, world.stack);
    await page.goto('/#/webhooks');
    await page.getByText('You have no subscription yet').waitFor();
    await page.getByRole('button', { name: 'Subscribe' }).click();
    await page.getByLabel('Endpoint URL').fill('http://10.0.0.1/hook');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('[role="dialog"] .problem, dialog .problem, dialog .notice.bad').first().waitFor();
    await page.getByLabel('Endpoint URL').fill(world.hook.url);
    await page.getByRole('button', { name: 'Save' }).click();
    const secret = await stored(page);
    assert.match(secret, /^whsec_/);
    await page.getByText(world.hook.url).waitFor();

    await page.getByRole('button', { name: 'Send a test event' }).click();
    await page.getByText('Test event delivered').waitFor();
    assert.equal(world.hook.received.at(-1).body.event, 'Test');
    await rows(page, 'Deliveries').first().getByText('Delivered').waitFor();

    world.hook.answer = { status: 500, body: 'no' };
    await page.getByRole('button', { name: 'Send a test event' }).click();
    await page.getByText('Test event could not be delivered').waitFor();
    world.hook.answer = { status: 200, body: '' };
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length >= 2);
    await rows(page, 'Deliveries').first().getByRole('button', { name: /^Retry/ }).click();
    await page.getByText('retried successfully').waitFor();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length >= 3);
    await page.goto('/#/webhooks?success=false');
    await settled(page);
    await rows(page, 'Deliveries').first().getByRole('button', { name: /^Details/ }).click();
    await page.getByRole('dialog').getByText('the endpoint answered 500').waitFor();
    await page.getByRole('dialog').locator('pre', { hasText: 'no' }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();

    await page.getByRole('button', { name: 'Replace secret' }).click();
    await page.getByRole('button', { name: 'Replace', exact: true }).click();
    assert.notEqual(await stored(page), secret);
    it.check('webhooks');
    await it.close();

    const admin = await openPage(world.browser, world.stack);
    await asAdmin(admin.page, world.stack);
    await admin.page.goto('/#/admin/webhooks?practicepass=DemoOffice');
    const deliveries = rows(admin.page, 'Recent deliveries');
    await deliveries.first().waitFor();
    const count = await deliveries.count();
    await deliveries.first().getByRole('button', { name: /^Retry/ }).click();
    await admin.page.getByText('retried successfully').waitFor();
    await admin.page.waitForFunction((count) => document.querySelectorAll('table')[0].querySelectorAll('tbody tr').length > count, count);
    admin.check('monitor');
    await admin.close();
  });

  test('a partner can change its information and see its key and usage', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    it.allowed.push(status(422));
    await asPartner(page, world.stack);
    await page.goto('/#/me');
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel('Phone').fill('x');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('[aria-invalid="true"][name="phone"]').waitFor();
    await page.getByLabel('Phone').fill('212-555-0188');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Your information was saved').waitFor();
    await page.reload();
    await page.locator('dl.facts', { hasText: '0188' }).waitFor();

    await page.goto('/#/key');
    await page.getByText('100,000 calls per minute').waitFor();
    await page.locator('dl.facts').getByText('DemoOffice').waitFor();
    await page.goto('/#/usage');
    await settled(page);
    assert.ok((await tile(page, 'Total Calls')) > 0);
    await page.getByLabel('Period').selectOption('30');
    await page.getByText('API Usage (Last 30 Days)').first().waitFor();
    it.check('partner');
    await it.close();
  });

  test('a partner gets no page at an administrator’s URL', async () => {
    const it = await openPage(world.browser, world.stack);
    await asPartner(it.page, world.stack);
    await it.page.goto('/#/admin/keys');
    await it.page.getByRole('heading', { name: 'Page not found' }).waitFor();
    it.check('partner as administrator');
    await it.close();
  });
}
