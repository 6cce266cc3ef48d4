import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { asAdmin, openPage, settled, status } from '../support/browser.js';
import { rows, tile } from '../support/figures.js';
import { api } from '../support/stack.js';

export function administration(world) {
  test('the dashboard shows the API’s figures and links to their calls', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asAdmin(page, world.stack);
    await page.getByText('Multi-Tenant Enabled').waitFor();
    await settled(page);
    const { data } = (await api(world.stack, 'GET', '/v1/admin/overview?days=7', { admin: true })).body;
    // The page itself makes calls meanwhile.
    const shown = await tile(page, 'Total Calls');
    assert.ok(shown > 0 && shown <= data.totalCalls, `${shown} of ${data.totalCalls}`);
    for (const name of ['Success Rate', 'Avg Duration', 'Error Count']) await page.locator('.tile').getByText(name, { exact: true }).waitFor();
    await page.getByText(/^p95 /).waitFor();
    const table = rows(page, 'API Usage (Last 7 Days), table');
    assert.equal(await table.count(), 7);
    const bars = page.locator('.chart a');
    assert.equal(await bars.count(), 7);
    await page.getByText(/checks are ok/).waitFor();
    for (const title of ['Readiness', 'Partners', 'API Keys', 'API Access Requests', 'Recent Activity']) await page.getByRole('heading', { name: title, exact: true }).waitFor();
    await bars.nth(5).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Recent Activity' }).waitFor();
    assert.match(page.url(), new RegExp(`from=${data.days[5].date}`));
    await page.goto('/#/admin');
    await page.getByRole('link', { name: /Error Count/ }).click();
    await settled(page);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length > 0);
    const codes = await rows(page, 'Recent Activity').locator('td[data-label="Status"]').allTextContents();
    assert.ok(codes.length > 0 && codes.every((code) => Number(code) >= 400), codes.join());
    it.check('dashboard');
    await it.close();
  });

  test('a partner can be registered, changed and suspended', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    it.allowed.push(status(422));
    await asAdmin(page, world.stack);
    await page.goto('/#/admin/partners');
    await page.getByRole('button', { name: 'New partner' }).click();
    await page.getByLabel('Company').fill('Browser Labs');
    await page.getByLabel('Phone').fill('no phone');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('[aria-invalid="true"][name="phone"]').waitFor();
    await page.getByLabel('Phone').fill('212-555-0100');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'Edit Browser Labs' }).first().click();
    await page.getByLabel('Contact').fill('Bo Lab');
    await page.getByLabel('Status').selectOption('suspended');
    await page.getByRole('button', { name: 'Save' }).click();
    const row = page.locator('tr', { hasText: 'Browser Labs' }).first();
    await row.getByText('Suspended').waitFor();
    await row.getByText('Bo Lab').waitFor();
    it.check('partners');
    await it.close();
  });

  test('a key can be created, edited, rotated and revoked, and is shown once', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asAdmin(page, world.stack);
    await page.goto('/#/admin/keys');
    await settled(page);
    await page.getByRole('button', { name: 'New key' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Browser key');
    await dialog.getByLabel('Partner').selectOption('prt_northwind');
    await dialog.getByLabel('Practice pass').fill('DemoOffice');
    await dialog.getByLabel('KB').check();
    await dialog.getByRole('button', { name: 'Create key' }).click();
    const first = await stored(page);
    const token = (key) => api(world.stack, 'POST', '/v1/DemoOffice/auth/token', { body: { apiKey: key } });
    assert.equal((await token(first)).status, 200);
    const row = page.locator('tr', { hasText: 'Browser key' }).first();
    await row.getByText('KB', { exact: true }).waitFor();
    assert.ok(!(await page.content()).includes(first), 'the key is gone from the page');

    await page.getByRole('button', { name: 'Edit Browser key' }).first().click();
    await page.getByLabel('Rate limit').fill('50');
    await page.getByLabel('Allowed networks').fill('127.0.0.0/8');
    await page.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });

    await page.getByRole('button', { name: 'Rotate Browser key' }).first().click();
    await page.getByLabel('The old secret stays valid for').selectOption('0');
    await dialog.getByRole('button', { name: 'Rotate' }).click();
    const second = await stored(page);
    assert.notEqual(first, second);
    assert.equal((await token(second)).status, 200);

    await page.getByRole('button', { name: 'Revoke Browser key' }).first().click();
    await page.getByRole('button', { name: 'Revoke permanently' }).click();
    await row.getByText('Revoked').waitFor();
    assert.equal((await token(second)).status, 401);
    it.check('keys');
    await it.close();
  });

  test('a request can be denied with a reason', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await api(world.stack, 'POST', '/v1/access-requests', { body: { company: 'Denied Inc', practice: 'DemoOffice', contact: 'D', email: 'd@denied.example' } });
    await asAdmin(page, world.stack);
    await page.goto('/#/admin/access-requests?status=pending');
    await page.getByRole('button', { name: 'Deny Denied Inc' }).click();
    await page.getByLabel('Reason').fill('Not known here');
    await page.getByRole('button', { name: 'Deny', exact: true }).click();
    await page.getByRole('button', { name: 'Deny Denied Inc' }).waitFor({ state: 'detached' });
    await page.getByLabel('Status').selectOption('denied');
    await page.getByRole('button', { name: 'Details of Denied Inc' }).click();
    await page.getByText('Not known here').waitFor();
    it.check('requests');
    await it.close();
  });

  test('activity can be filtered by URL, paged, followed live and saved as CSV', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asAdmin(page, world.stack);
    await page.goto('/#/admin/activity?method=POST&partner=Northwind%20Health');
    await settled(page);
    const table = rows(page, 'Recent Activity');
    assert.ok((await table.count()) > 0);
    for (const text of await table.allTextContents()) assert.match(text, /POST.*Northwind Health/s);
    assert.equal(await page.getByLabel('Method').inputValue(), 'POST');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download CSV' }).click()]);
    const lines = (await readFile(await download.path(), 'utf8')).trim().split('\r\n');
    assert.ok(lines[0].startsWith('time,method,endpoint'));
    assert.ok(lines.length > 1 && lines.slice(1).every((line) => line.includes('POST')));
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('100 shown').waitFor();
    await page.getByRole('button', { name: 'Live tail' }).click();
    await page.getByLabel('Endpoint').fill('/v1/health');
    await page.waitForURL(/endpoint=%2Fv1%2Fhealth/);
    await page.waitForFunction(() => [...document.querySelectorAll('tbody tr')].every((row) => row.textContent.includes('/v1/health')));
    const before = await table.count();
    await api(world.stack, 'GET', '/v1/health');
    await page.waitForFunction((count) => document.querySelectorAll('tbody tr').length > count, before);
    it.check('activity');
    await it.close();
  });

  test('the audit log lists the actions', async () => {
    const it = await openPage(world.browser, world.stack);
    await asAdmin(it.page, world.stack);
    await it.page.goto('/#/admin/audit');
    await it.page.getByRole('cell', { name: 'portal.sign-in' }).first().waitFor();
    it.check('audit');
    await it.close();
  });
}

/** Returns the secret that is shown once, and closes its dialog. */
export async function stored(page) {
  const text = await page.locator('[data-secret]').textContent();
  await page.keyboard.press('Escape');
  await page.getByLabel('I have stored it').check();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  return text;
}
