import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { asAdmin, asPartner, openPage, settled } from '../support/browser.js';
import { ADMIN, PARTNER, PUBLIC } from '../support/pages.js';
import { GUIDES, prepared } from './guides.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };

const WIDTHS = [320, 768, 1440];
const SCHEMES = ['light', 'dark'];

/** Checks every page and dialog: accessible, no overflow, no errors, no calls to other origins. */
export function everyPage(world) {
  for (const [who, pages, signIn] of [['anybody', PUBLIC, null], ['an administrator', ADMIN, asAdmin], ['a partner', PARTNER, asPartner]]) {
    test(`every page of ${who} is accessible, fits and keeps to itself`, async () => {
      const it = await openPage(world.browser, world.stack);
      const { page } = it;
      const found = [];
      if (signIn) await signIn(page, world.stack);
      for (const [path, heading] of pages) {
        await page.goto(`/#${path}`);
        await page.getByRole('heading', { level: 1, name: heading }).waitFor();
        await settled(page);
        found.push(...(await faultsAtAllSizes(page, path)));
        it.check(path);
      }
      assert.deepEqual(found, []);
      await it.close();
    });
  }

  test('every guide is accessible, fits and keeps to itself', async () => {
    const it = await openPage(world.browser, world.stack);
    const found = [];
    for (const name of GUIDES) {
      await it.page.goto(`/docs/${name}`);
      await prepared(it.page);
      found.push(...(await faultsAtAllSizes(it.page, name)));
      it.check(name);
    }
    assert.deepEqual(found, []);
    await it.close();
  });

  test('every dialog is accessible', async () => {
    const it = await openPage(world.browser, world.stack, { width: 320 });
    const { page } = it;
    await asAdmin(page, world.stack);
    for (const [path, button] of [['/admin/keys', 'New key'], ['/admin/keys', /^Rotate/], ['/admin/keys', /^Revoke/], ['/admin/partners', 'New partner'], ['/admin/access-requests', /^Approve/], ['/admin/access-requests', /^Deny/], ['/admin/access-requests', /^Details/], ['/admin/activity', /^Details/], ['/admin/webhooks', /^Details/], ['/admin/webhooks', /^Pause/], ['/admin/webhooks', /^Delete/]]) {
      await page.goto(`/#${path}`);
      await settled(page);
      await page.getByRole('button', { name: button }).first().click();
      await page.getByRole('dialog').waitFor();
      for (const colorScheme of SCHEMES) {
        await show(page, colorScheme);
        assert.deepEqual(await violations(page), [], `${path} ${button} ${colorScheme}`);
        assert.deepEqual(await overflowing(page), [], `${path} ${button}`);
      }
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    it.check('dialogs');
    await it.close();
  });
}

/** Returns what is wrong with the page in any window and color scheme. */
async function faultsAtAllSizes(page, path) {
  const found = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of SCHEMES) {
      await show(page, colorScheme);
      const where = `${path} ${colorScheme} ${width}`;
      found.push(...(await violations(page)).map((it) => `${where}: ${it}`), ...(await overflowing(page)).map((it) => `${where}: overflow of ${it}`));
    }
  }
  return found;
}

/** Sets the color scheme. The new colors are computed two frames later. */
async function show(page, colorScheme) {
  await page.emulateMedia({ colorScheme });
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

async function violations(page) {
  // Use the debugger, to which the content security policy does not apply.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
  const found = await page.evaluate((rules) => window.axe.run(document, rules), RULES);
  return found.violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')} ${it.nodes[0].failureSummary}`);
}

/** Returns what overflows the page, or can only be seen by scrolling sideways. */
function overflowing(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > innerWidth ? ['the page itself'] : [];
    const scrolling = [...document.querySelectorAll('.table-scroll, dialog')].filter((it) => it.scrollWidth > it.clientWidth + 1);
    return [...wide, ...scrolling.map((it) => it.getAttribute('aria-label') ?? it.tagName)];
  });
}
