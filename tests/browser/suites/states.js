import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage, settled, status } from '../support/browser.js';

export function states(world) {
  test('a failed load shows its request id and can be retried', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    it.allowed.push(status(503));
    await asAdmin(page, world.stack);
    let broken = true;
    let answer;
    const seen = new Promise((resolve) => { answer = resolve; });
    await page.route('**/v1/admin/partners?*', async (route) => {
      await seen;
      const problem = { title: 'A store is down', status: 503, detail: 'Try again in a moment.', code: 'UNAVAILABLE', requestId: 'req-from-the-test' };
      await (broken ? route.fulfill({ status: 503, contentType: 'application/problem+json', json: problem }) : route.continue());
    });
    await page.goto('/#/admin/partners');
    await page.getByText('Loading partners...').waitFor();
    answer();
    const alert = page.getByRole('alert');
    await alert.getByText('Try again in a moment.').waitFor();
    await alert.getByRole('button', { name: 'Copy the request id' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'req-from-the-test');
    broken = false;
    await alert.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('Northwind Health').waitFor();
    it.check('failure');
    await it.close();
  });

  test('failed readiness checks are shown with reasons, worst first, even on a 503', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    it.allowed.push(status(503));
    const check = (name, state, detail) => ({ name, status: state, detail, meaning: '', runbook: 'Dead letters', since: null, ageSeconds: null, figures: [{ name: 'waiting', value: 7, atMost: 0, atLeast: null }], practices: null, durationMs: 1 });
    const checks = [check('deadLetters', 'degraded', 'Events wait in the dead-letter queue.'), check('controlPlane', 'failed', 'These tables cannot be read.'), check('events', 'ok', 'The queue is short.')];
    const data = { status: 'notReady', checkedAt: new Date().toISOString(), tzdata: '2026f', checks };
    const problem = { title: 'A part of the platform is failing', status: 503, detail: 'These checks failed: controlPlane.', code: 'NOT_READY', requestId: 'req-from-the-test', data };
    await page.route('**/v1/admin/readiness', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: problem }));
    await asAdmin(page, world.stack);
    await page.getByText('Not ready').waitFor();
    const shown = page.getByRole('table', { name: 'Checks that are not ok' }).locator('tbody tr');
    assert.match(await shown.nth(0).textContent(), /Control plane.*Failed.*These tables cannot be read\./s);
    assert.match(await shown.nth(1).textContent(), /Dead letters.*Degraded.*Waiting 7 \(at most 0\).*Runbook: Dead letters/s);
    assert.equal(await shown.count(), 2);
    await page.getByText('1 of 3 checks are ok').waitFor();
    it.check('not ready');
    await it.close();
  });

  test('an unreachable API is reported', async () => {
    const it = await openPage(world.browser, world.stack);
    it.allowed.push(/ERR_FAILED/);
    await asAdmin(it.page, world.stack);
    await it.page.route('**/v1/admin/audit?*', (route) => route.abort());
    await it.page.goto('/#/admin/audit');
    await it.page.getByText('The API could not be reached.').waitFor();
    it.check('unreachable');
    await it.close();
  });

  test('an empty list shows a message', async () => {
    const it = await openPage(world.browser, world.stack);
    await asAdmin(it.page, world.stack);
    await it.page.goto('/#/admin/activity?partner=Nobody');
    await it.page.getByText('No call matches the filters.').or(it.page.getByText('None of the newest calls matches')).waitFor();
    it.check('empty');
    await it.close();
  });

  test('an ended session leads to the login and back to the page', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    it.allowed.push(status(401));
    await asAdmin(page, world.stack);
    await it.context.clearCookies();
    await page.goto('/#/admin/keys');
    await page.getByText('Your session has ended.').waitFor();
    await page.getByLabel('API Key or Admin Secret').fill(world.stack.adminSecret);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'API Keys' }).waitFor();
    it.check('expired');
    await it.close();
  });

  test('users are warned before the idle timeout and can stay', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.clock.install();
    await asPartner(page, world.stack);
    // A pending response would restart the idle time.
    await settled(page);
    await page.clock.fastForward('13:30');
    const dialog = page.getByRole('dialog', { name: 'Are you still there?' });
    await dialog.waitFor();
    await dialog.getByRole('button', { name: 'Stay signed in' }).click();
    await page.clock.fastForward(2000);
    await dialog.waitFor({ state: 'detached' });
    it.check('idle');
    await it.close();
  });

  test('the keyboard reaches everything, and dialogs trap and return the visible focus', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asAdmin(page, world.stack);
    await page.goto('/#/admin/keys');
    await settled(page);
    // As after opening the URL: nothing has the focus yet.
    await page.reload();
    await settled(page);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'New key');
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    for (let step = 0; step < 30; step++) {
      await page.keyboard.press('Tab');
      assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)), 'the dialog holds the focus');
    }
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // The focus returns shortly after the dialog closes.
    await page.waitForFunction(() => document.activeElement?.textContent === 'New key');
    it.check('keyboard');
    await it.close();
  });

  test('the theme can be chosen, and reduced motion is respected', async () => {
    const it = await openPage(world.browser, world.stack, { scheme: 'light' });
    const { page } = it;
    await asAdmin(page, world.stack);
    await page.getByLabel('Appearance').selectOption('dark');
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await background(), 'rgb(15, 20, 27)');
    await page.reload();
    await settled(page);
    assert.equal(await background(), 'rgb(15, 20, 27)');
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.button')).transitionDuration), '0s');
    await page.getByText(/Times are shown in your time zone \(.+\)/).waitFor();
    it.check('appearance');
    await it.close();
  });
}
