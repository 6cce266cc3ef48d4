import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openPage } from '../support/browser.js';

const FOLDER = new URL('../../../infra/portal/docs/', import.meta.url);
export const GUIDES = (await readdir(FOLDER)).filter((name) => name.endsWith('.html'));

/** Waits until the scripts have prepared the page. */
export const prepared = (page) => page.getByRole('combobox', { name: 'Search the documentation' }).waitFor();

/** The guides are public: nobody signs in here. */
export function guides(world) {
  test('every guide can be read without a key and without scripts', async () => {
    const context = await world.browser.newContext({ javaScriptEnabled: false, baseURL: world.stack.url });
    const page = await context.newPage();
    for (const name of GUIDES) {
      const response = await page.goto(`/docs/${name}`);
      assert.equal(response.status(), 200);
      assert.ok((await page.locator('main').textContent()).length > 500, name);
      if (name !== 'index.html') assert.equal(await page.getByRole('navigation', { name: 'Guides' }).locator('[aria-current="page"]').getAttribute('href'), name);
    }
    await context.close();
  });

  test('the address in an error leads to the entry of its code', async () => {
    const it = await openPage(world.browser, world.stack);
    const problem = await (await fetch(`${world.stack.url}/v1/DemoOffice/prospects`)).json();
    assert.equal(problem.code, 'UNAUTHENTICATED');
    const entry = new URL(problem.type, world.stack.url);
    await it.page.goto(entry.href);
    await prepared(it.page);
    const heading = it.page.getByRole('heading', { name: 'UNAUTHENTICATED', exact: true });
    await heading.waitFor();
    assert.ok(await heading.evaluate((it) => it.getBoundingClientRect().top >= 0 && it.getBoundingClientRect().top < innerHeight / 2), 'the entry is in view');
    it.check('errors');
    await it.close();
  });

  test('search finds guides, operations, fields and error codes, by keyboard alone', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.goto('/docs/index.html');
    await prepared(page);
    const box = page.getByRole('combobox', { name: 'Search the documentation' });
    for (const [query, kind, target] of [
      ['provider_conflict', 'Error code', /errors\.html#PROVIDER_CONFLICT$/],
      ['verify signature', 'Guide', /webhooks\.html#verify-the-signature$/],
      ['book visit', 'Operation', /#\/docs\/bookVisit$/],
      ['ProviderDuration', 'Field', /#\/docs\/\w+$/],
    ]) {
      await page.goto('/docs/index.html');
      await prepared(page);
      await page.keyboard.press('/');
      assert.ok(await box.evaluate((it) => it === document.activeElement), 'the slash focuses the search');
      await page.keyboard.type(query);
      const first = page.getByRole('option').first();
      await first.waitFor();
      assert.match(await first.textContent(), new RegExp(`^${kind}`), query);
      assert.equal(await box.getAttribute('aria-activedescendant'), await first.getAttribute('id'));
      await page.keyboard.press('Enter');
      await page.waitForURL(target);
    }
    await page.goto('/docs/index.html');
    await prepared(page);
    await box.fill('e');
    await page.getByRole('option').nth(2).waitFor();
    await box.press('ArrowDown');
    assert.equal(await page.getByRole('option').nth(1).getAttribute('aria-selected'), 'true');
    await box.press('Escape');
    assert.equal(await page.getByRole('option').count(), 0);
    await box.fill('createKey');
    await page.getByText('Nothing contains all of these words.').waitFor();
    it.check('search');
    await it.close();
  });

  test('the index of a guide follows the reader', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.goto('/docs/webhooks.html');
    await prepared(page);
    for (const heading of ['Sign up', 'Verify the signature', 'A complete endpoint']) {
      await page.locator('main').getByRole('heading', { name: heading, exact: true }).evaluate((it) => it.scrollIntoView());
      await page.locator('.toc [aria-current]', { hasText: heading }).waitFor();
      assert.equal(await page.locator('.toc [aria-current]').count(), 1);
    }
    it.check('toc');
    await it.close();
  });

  test('samples can be copied, in the language that the reader chose', async () => {
    const it = await openPage(world.browser, world.stack);
    const { page } = it;
    await page.goto('/docs/webhooks.html');
    await prepared(page);
    const sample = page.locator('.sample', { has: page.getByRole('button', { name: 'Ruby' }) });
    const markdown = await readFile(new URL('../../../infra/guides/webhooks.md', import.meta.url), 'utf8');
    for (const [name, fence] of [['C#', 'csharp'], ['Go', 'go'], ['PHP', 'php'], ['Python', 'python'], ['Ruby', 'ruby']]) {
      await sample.getByRole('button', { name, exact: true }).click();
      await sample.getByRole('button', { name: 'Copy' }).click();
      const expected = markdown.match(new RegExp('```' + fence + ' file=[^\\n]*\\n(.*?)\\n```', 's'))[1];
      await page.waitForFunction(async (expected) => (await navigator.clipboard.readText()) === expected, expected);
    }
    await page.reload();
    await prepared(page);
    assert.equal(await sample.getByRole('button', { name: 'Ruby' }).getAttribute('aria-pressed'), 'true');
    await page.goto('/docs/quickstart.html');
    await page.locator('.sample', { hasText: `API=${world.stack.url}/v1` }).waitFor();
    it.check('samples');
    await it.close();
  });

  test('the checklist remembers what is done', async () => {
    const it = await openPage(world.browser, world.stack);
    await it.page.goto('/docs/going-live.html');
    await prepared(it.page);
    await it.page.getByRole('checkbox').nth(3).check();
    await it.page.reload();
    await prepared(it.page);
    assert.deepEqual(await it.page.getByRole('checkbox').evaluateAll((boxes) => boxes.map((box) => box.checked).indexOf(true)), 3);
    it.check('checklist');
    await it.close();
  });
}
