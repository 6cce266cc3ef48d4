import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage } from '../support/browser.js';
import { api } from '../support/stack.js';

/** The reference's sections with their endpoints, in its order. */
const REFERENCE = [
  ['Introduction', []],
  ['Authentication', ['POST /v1/{PPass}/auth/token']],
  ['Prospects', ['GET /v1/{PPass}/prospects', 'POST /v1/{PPass}/prospects', 'PUT /v1/{PPass}/prospects/{id}']],
  ['Tags', ['GET /v1/{PPass}/tags', 'POST /v1/{PPass}/tags/prospects/{id}', 'DELETE /v1/{PPass}/tags/prospects/{id}/{tagId}', 'DELETE /v1/{PPass}/tags/prospects/{id}']],
  ['Providers', ['', '/{id}', '/{id}/schedule', '/{id}/check', '/{id}/slots', '/{id}/next-slot'].map((end) => `GET /v1/{PPass}/availability/providers${end}`)],
  ['Visit Scheduling', ['GET /v1/{PPass}/visit-types', 'POST /v1/{PPass}/visits/book']],
  ['Products (ProductPro)', ['GET /v1/products', 'POST /v1/products']],
  ['Knowledge Base', ['GET /v1/kb', 'GET /v1/kb/{id}', 'PUT /v1/kb/{id}']],
  ['Webhooks', ['POST /v1/webhooks/signup', 'GET /v1/admin/webhooks/monitor']],
  ['Tickets', ['GET /v1/{PPass}/tickets', 'GET /v1/{PPass}/ticket/{id}', 'PUT /v1/{PPass}/ticket/{id}', 'POST /v1/{PPass}/tickets/{id}/comment', 'POST /v1/admin/webhooks/retry/{id}']],
  ['My Information', ['GET /v1/me', 'PATCH /v1/me']],
];

export function documentation(world) {
  test('the documentation follows the reference and has every endpoint of the reader', async () => {
    const readers = [['anybody', null, '/v1/openapi.json'], ['a partner', asPartner, '/v1/openapi.json'], ['an administrator', asAdmin, '/v1/openapi-admin.json']];
    for (const [who, signIn, address] of readers) {
      const description = await (await fetch(world.stack.url + address, { headers: { 'X-Admin-Secret': world.stack.adminSecret } })).json();
      const expected = Object.entries(description.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
      assert.equal(expected.some((name) => name.includes('/v1/admin/')), who === 'an administrator');
      const it = await openPage(world.browser, world.stack);
      const { page } = it;
      if (signIn) await signIn(page, world.stack);
      await page.goto('/#/docs');
      await page.locator('.docs-index').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Download OpenAPI' }).getAttribute('href'), address);
      const links = await page.locator('.docs-index-title').evaluateAll((links) => links.map((link) => [link.textContent.trim(), link.getAttribute('href')]));
      const shown = [];
      for (const [title, href] of links) {
        await page.goto(`/${href}`);
        await page.locator('.docs-section h2', { hasText: title }).waitFor();
        shown.push([title, await page.locator('article .route').evaluateAll((routes) => routes.map((route) => `${route.querySelector('.method').textContent} ${route.querySelector('.path').textContent}`))]);
      }
      REFERENCE.forEach(([title, operations], index) => {
        assert.equal(shown[index][0], title, who);
        const own = operations.filter((name) => expected.includes(name));
        assert.deepEqual(shown[index][1].slice(0, own.length), own, `${who}: ${title}`);
      });
      assert.deepEqual(shown.flatMap(([, operations]) => operations).sort(), [...expected].sort(), who);
      it.check('docs');
      await it.close();
    }
  });

  test('an operation shows its fields with their limits, its errors and samples in five languages', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.goto('/#/docs/bookVisit');
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-anchor') === 'bookVisit');
    const article = page.locator('article', { has: page.locator('[data-anchor="bookVisit"]') });
    assert.equal(await article.getByRole('heading', { level: 3 }).textContent(), 'Book visit');
    for (const [language, part] of [['curl', 'curl '], ['JavaScript', 'await fetch('], ['Python', 'requests.request('], ['C#', 'HttpMethod.Post'], ['PHP', 'curl_init(']]) {
      await article.getByRole('button', { name: language, exact: true }).click();
      await article.getByRole('button', { name: 'Copy', exact: true }).first().click();
      // The browser writes to the clipboard after the click.
      await page.waitForFunction(async (part) => (await navigator.clipboard.readText()).includes(part), part);
    }
    const field = article.getByRole('row', { name: /^VisitDuration/ });
    assert.match(await field.textContent(), /required.*1 to 1,440/s);
    await article.getByText(/^Response/).first().click();
    await article.getByRole('row', { name: /^data\.RoomID/ }).waitFor();
    await article.getByText(/^Errors/).click();
    const entry = article.getByRole('listitem').filter({ hasText: 'PROVIDER_CONFLICT' });
    await entry.locator('summary').click();
    assert.equal(JSON.parse(await entry.locator('pre').textContent()).status, 409);
    await entry.getByRole('link', { name: 'PROVIDER_CONFLICT' }).click();
    await page.waitForURL(/\/docs\/errors\.html#PROVIDER_CONFLICT$/);
    it.check('operation');
    await it.close();
  });

  test('the index of the reference follows the reader', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.goto('/#/docs/prospects');
    for (const [id, name] of [['createProspect', 'Create prospect'], ['getProspect', 'Get prospect']]) {
      await page.locator(`[data-anchor="${id}"]`).evaluate((it) => it.scrollIntoView());
      await page.locator('.docs-index [aria-current="true"]', { hasText: name }).waitFor();
    }
    it.check('index');
    await it.close();
  });

  test('the description and what is generated from it can be downloaded', async () => {
    const it = await openPage(world.browser, world.stack);
    await it.page.goto('/#/docs');
    const downloaded = async (name) => {
      const [download] = await Promise.all([it.page.waitForEvent('download'), it.page.getByRole('link', { name, exact: true }).click()]);
      return readFile(await download.path(), 'utf8');
    };
    assert.equal(JSON.parse(await downloaded('Download OpenAPI')).openapi, '3.1.0');
    assert.equal(JSON.parse(await downloaded('OpenAPI 3.0')).openapi, '3.0.3');
    assert.equal(JSON.parse(await downloaded('Postman')).info.name, 'OfficePro Partner API');
    assert.match(await downloaded('TypeScript'), /export interface paths/);
    it.check('download');
    await it.close();
  });

  test('a booking can be tried at once, at a time that is free', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asPartner(page, world.stack);
    await page.goto('/#/docs/bookVisit');
    const article = page.locator('article', { has: page.locator('[data-anchor="bookVisit"]') });
    await article.getByRole('button', { name: 'Try it: Book visit' }).click();
    const body = article.getByLabel('Body');
    await page.waitForFunction(() => !document.querySelector('.try-it textarea')?.value.includes('2026-03-12'));
    const visit = JSON.parse(await body.inputValue());
    await body.fill(JSON.stringify({ ...visit, PatientID: await newProspect(world) }));
    await article.getByRole('button', { name: 'Send POST' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Send it' }).click();
    assert.equal(JSON.parse(await article.locator('.answer').textContent()).message, 'Visit booked successfully');
    it.check('booking');
    await it.close();
  });

  test('a call that changes something needs confirmation', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asPartner(page, world.stack);
    await page.goto('/#/docs/createProspect');
    const article = page.locator('article', { has: page.locator('[data-anchor="createProspect"]') });
    await article.getByRole('button', { name: 'Try it: Create prospect' }).click();
    await article.getByLabel('Body').fill('{"FirstName":"Trial","LastName":"Browserperson","Phone":"212-555-0177"}');
    const posts = [];
    page.on('request', (request) => request.method() === 'POST' && posts.push(request.url()));
    await article.getByRole('button', { name: 'Send POST' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.deepEqual(posts, []);
    await article.getByRole('button', { name: 'Send POST' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Send it' }).click();
    await article.locator('.answer').waitFor();
    assert.equal(JSON.parse(await article.locator('.answer').textContent()).data.LastName, 'Browserperson');
    it.check('try-it');
    await it.close();
  });
}

async function newProspect({ stack }) {
  const { body: { accessToken: token } } = await api(stack, 'POST', '/v1/DemoOffice/auth/token', { body: { apiKey: stack.keys[0].apiKey } });
  const { body } = await api(stack, 'POST', '/v1/DemoOffice/prospects', { token, body: { FirstName: 'Bea', LastName: 'Trial', EMail: 'bea@example.com' } });
  return body.data.PatientID;
}
