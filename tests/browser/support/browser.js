// Chromium, with listeners for everything that must not happen.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/**
 * Opens a page in a separate browser context.
 *
 * `faults` collects console errors, exceptions, reports of the content security policy, requests to
 * other origins, and injected scripts that ran. `allowed` are messages that the test itself causes.
 */
export async function openPage(browser, stack, { width = 1440, height = 900, scheme = 'light', motion = 'reduce' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion, baseURL: stack.url, acceptDownloads: true });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stack.url });
  const faults = [];
  const allowed = [];
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    window.ran = (what) => console.error(`SCRIPT RAN ${what ?? ''}`);
    window.alert = () => window.ran('alert');
  });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => faults.push(`exception: ${error}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== stack.url) faults.push(`foreign origin: ${request.url()}`);
  });
  // Long, for a machine that also builds and tests other things. Nothing waits longer than it must.
  page.setDefaultTimeout(120_000);
  const check = (where) => {
    const bad = faults.filter((fault) => !allowed.some((pattern) => pattern.test(fault)));
    assert.deepEqual(bad, [], where);
  };
  return { page, context, faults, allowed, check, close: () => context.close() };
}

/** Matches the message that the browser logs for a response with this status. */
export const status = (code) => new RegExp(`console: Failed to load resource: the server responded with a status of ${code}`);

export async function signIn(page, accessKey, heading) {
  await page.goto('/');
  await page.getByLabel('API Key or Admin Secret').fill(accessKey);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
}

export const asAdmin = (page, stack) => signIn(page, stack.adminSecret, 'Dashboard Overview');
export const asPartner = (page, stack, key = stack.keys[0]) => signIn(page, key.apiKey, 'API Documentation');

/** Waits until every panel of the page has loaded. */
export async function settled(page) {
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.loading, .boot, [aria-busy="true"]'));
}
