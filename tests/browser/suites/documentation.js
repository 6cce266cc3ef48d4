import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage, settled } from '../support/browser.js';

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
  const readers = [['a partner', asPartner, '/v1/openapi.json'], ['an administrator', asAdmin, '/v1/openapi-admin.json']];
  for (const [reader, signIn, address] of readers) test(`the documentation follows the reference and has every endpoint for ${reader}`, async () => {
    const it = await openPage(world.browser, world.stack);
    await signIn(it.page, world.stack);
    await it.page.goto('/#/docs');
    await it.page.getByRole('heading', { level: 1, name: 'API Documentation' }).waitFor();
    await settled(it.page);
    const shown = await it.page.locator('.docs-section').evaluateAll((sections) => sections.map((section) => [
      section.querySelector('h2').firstChild.textContent.trim(),
      [...section.querySelectorAll('article h3')].map((heading) => heading.textContent.trim()),
    ]));
    const isFor = (operation) => reader !== 'a partner' || !operation.includes('/v1/admin/');
    REFERENCE.forEach(([title, all], index) => {
      const operations = all.filter(isFor);
      assert.equal(shown[index][0], title);
      assert.deepEqual(shown[index][1].slice(0, operations.length), operations, title);
    });
    const headers = { 'X-Admin-Secret': world.stack.adminSecret };
    const description = await (await fetch(world.stack.url + address, { headers })).json();
    const download = await it.page.getByRole('link', { name: 'Download OpenAPI' }).getAttribute('href');
    assert.equal(download, address);
    const all = Object.entries(description.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    assert.deepEqual(shown.flatMap(([, operations]) => operations).sort(), all.sort());
    it.check('docs');
    await it.close();
  });

  test('search, anchors, samples, copy and download work', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asPartner(page, world.stack);
    await page.getByRole('searchbox', { name: 'Search' }).fill('next available');
    await page.waitForFunction(() => document.querySelectorAll('article').length === 1);
    assert.match(page.url(), /search=next/);
    const article = page.locator('article');
    for (const [language, part] of [['curl', 'curl '], ['JavaScript', 'await fetch('], ['Python', 'requests.request(']]) {
      await article.getByRole('button', { name: language, exact: true }).click();
      await article.getByRole('button', { name: 'Copy', exact: true }).first().click();
      // The browser writes to the clipboard after the click.
      await page.waitForFunction(async (part) => (await navigator.clipboard.readText()).includes(part), part);
    }
    await page.goto('/#/docs/bookVisit');
    await page.waitForFunction(() => document.activeElement?.getAttribute('data-anchor') === 'bookVisit');
    const downloaded = async (name) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name, exact: true }).click()]);
      return readFile(await download.path(), 'utf8');
    };
    assert.equal(JSON.parse(await downloaded('Download OpenAPI')).openapi, '3.1.0');
    assert.equal(JSON.parse(await downloaded('OpenAPI 3.0')).openapi, '3.0.3');
    assert.equal(JSON.parse(await downloaded('Postman')).info.name, 'OfficePro Partner API');
    assert.match(await downloaded('TypeScript'), /export interface paths/);
    it.check('docs');
    await it.close();
  });

  test('a call that changes something needs confirmation', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await asPartner(page, world.stack);
    await page.goto('/#/docs/createProspect');
    const article = page.locator('article', { has: page.locator('[data-anchor="createProspect"]') });
    await article.getByRole('button', { name: 'Try it: Create a new prospect.' }).click();
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
