import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAdmin, openPage, settled, signIn, status } from '../support/browser.js';
import { tile } from '../support/figures.js';

/** Walks from an access request to a call with the new key, which the administrator sees. */
export function access(world) {
  test('a wrong key is rejected with the message of the reference, and keys can be pasted', async () => {
    const it = await openPage(world.browser, world.stack);
    it.allowed.push(status(401));
    await it.page.goto('/');
    await it.page.getByText('Please enter your API Key or Admin Secret to continue.').waitFor();
    await it.page.getByText('Report issues to support@naturaesoft.com.').waitFor();
    const field = it.page.getByLabel('API Key or Admin Secret');
    await it.page.evaluate(() => navigator.clipboard.writeText('op_live_wrong'));
    await field.focus();
    await it.page.keyboard.press('Control+V');
    assert.equal(await field.inputValue(), 'op_live_wrong');
    assert.equal(await field.getAttribute('autocomplete'), 'current-password');
    await it.page.keyboard.press('Enter');
    await it.page.getByText('Invalid access key').first().waitFor();
    assert.equal(await it.page.evaluate(() => document.activeElement?.getAttribute('name')), 'accessKey');
    it.check('login');
    await it.close();
  });

  test('an access request leads through approval, claim and login to a recorded call', async () => {
    const applicant = await openPage(world.browser, world.stack);
    const admin = await openPage(world.browser, world.stack);
    const { page } = applicant;
    await page.goto('/');
    await page.getByRole('link', { name: 'Request access' }).click();
    await page.getByLabel('Company').fill('Walk Medical');
    await page.getByLabel('Practice').fill('DemoOffice');
    await page.getByLabel('Contact').fill('Ada Walker');
    await page.getByLabel('E-mail').fill('ada@walk.example');
    for (const scope of ['Tickets', 'KB', 'Providers']) await page.getByLabel(scope, { exact: true }).check();
    await page.getByLabel('Message').fill('We walk through the portal.');
    await page.getByRole('button', { name: 'Request access' }).click();
    await page.getByText('pending').waitFor();

    await asAdmin(admin.page, world.stack);
    const before = await tile(admin.page, 'Total Calls');
    await admin.page.getByRole('link', { name: 'API Access Requests' }).click();
    await admin.page.getByRole('button', { name: 'Approve Walk Medical' }).click();
    await admin.page.getByLabel('Tickets').uncheck();
    await admin.page.getByLabel('Partner').selectOption('new');
    await admin.page.getByRole('button', { name: 'Approve', exact: true }).click();
    const link = await admin.page.locator('[data-secret]').textContent();
    await admin.page.getByLabel('I have sent or stored it').check();
    await admin.page.getByRole('button', { name: 'Close' }).click();
    await admin.page.locator('tr', { hasText: 'Walk Medical' }).getByText('Approved', { exact: true }).first().waitFor();

    await page.goto(link);
    await page.getByRole('button', { name: 'Show my API key' }).click();
    const key = await page.locator('[data-secret]').textContent();
    assert.match(key, /^op_live_/);
    assert.ok(!page.url().includes('claim=a'), 'the token has left the address bar');
    await page.getByRole('button', { name: 'Copy' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
    assert.ok(await page.getByRole('button', { name: 'Go to the login' }).isDisabled());
    await page.getByLabel('I have stored it').check();
    await page.getByRole('button', { name: 'Go to the login' }).click();

    await signIn(page, key, 'API Documentation');
    await page.goto('/#/docs/listProspects');
    const operation = page.locator('article', { has: page.locator('[data-anchor="listProspects"]') });
    await operation.getByRole('button', { name: 'Try it: List prospects' }).click();
    await operation.getByLabel('limit').fill('2');
    await operation.getByRole('button', { name: 'Send GET' }).click();
    const answer = JSON.parse(await operation.locator('.answer').textContent());
    assert.equal(answer.data.length, 2);
    const requestId = await operation.locator('.try-it .request-id code').textContent();

    // The call is recorded after its response; a page that was opened earlier shows it by itself.
    await admin.page.goto(`/#/admin/activity?requestId=${requestId}&live=1`);
    const row = admin.page.locator('tbody tr', { hasText: '/v1/{PPass}/prospects' });
    await row.waitFor();
    assert.match(await row.textContent(), /GET.*200.*Walk Medical/s);
    await admin.page.goto('/#/admin');
    await settled(admin.page);
    assert.ok((await tile(admin.page, 'Total Calls')) > before, 'the tile counts the call');

    // The link has been used, and the page says so.
    applicant.allowed.push(status(409));
    await page.goto(link);
    await page.getByRole('button', { name: 'Show my API key' }).click();
    await page.getByText('tell the administrators').waitFor();
    applicant.check('the applicant');
    admin.check('the administrator');
    await applicant.close();
    await admin.close();
  });

  test('signing out ends the session on the server', async () => {
    const it = await openPage(world.browser, world.stack);
    await asAdmin(it.page, world.stack);
    // Reads that are still pending would be rejected and reported.
    await settled(it.page);
    const [cookie] = await it.context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict');
    assert.deepEqual(await it.page.evaluate(() => Object.values({ ...localStorage, ...sessionStorage })), ['yes']);
    await it.page.getByRole('button', { name: 'Sign out' }).click();
    await it.page.getByRole('heading', { name: 'Partner Portal Login' }).waitFor();
    const after = await fetch(`${world.stack.url}/v1/portal/session`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
    assert.equal(after.status, 401);
    it.check('sign-out');
    await it.close();
  });
}
