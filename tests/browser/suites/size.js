import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openPage } from '../support/browser.js';

const MOST_BYTES = 60 * 1024;
const MOST_FILES = 30;

export function size(world) {
  test('the first page takes at most 60 kB gzipped, and few requests', async (context) => {
    const it = await openPage(world.browser, world.stack);
    const bodies = [];
    it.page.on('response', (response) => bodies.push(response.body()));
    await it.page.goto('/');
    await it.page.getByLabel('API Key or Admin Secret').waitFor();
    await it.page.waitForLoadState('networkidle');
    const files = await Promise.all(bodies);
    const bytes = files.reduce((sum, body) => sum + gzipSync(body).length, 0);
    const interactive = await it.page.evaluate(() => performance.getEntriesByName('interactive')[0]?.startTime);
    context.diagnostic(`first page: ${files.length} files, ${bytes} bytes gzipped, interactive after ${Math.round(interactive)} ms on loopback`);
    assert.ok(files.length > 5, 'the files were seen');
    assert.ok(bytes <= MOST_BYTES, `${bytes} bytes`);
    assert.ok(files.length <= MOST_FILES, `${files.length} files`);
    assert.ok(interactive > 0, 'the page tells that it can be used');
    it.check('first page');
    await it.close();
  });
}
