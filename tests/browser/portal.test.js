// Tests the portal in a browser, on one real stack. The suites build on each other in this order.
import { after, before, describe } from 'node:test';
import { launch } from './support/browser.js';
import { startHook, startStack } from './support/stack.js';
import { access } from './suites/access.js';
import { administration } from './suites/administration.js';
import { documentation } from './suites/documentation.js';
import { everyPage } from './suites/every-page.js';
import { guides } from './suites/guides.js';
import { partner } from './suites/partner.js';
import { size } from './suites/size.js';
import { states } from './suites/states.js';
import { strangers } from './suites/strangers.js';

const world = {};

before(async () => {
  // One after another, so that everything that has started is stopped even if a later start fails.
  world.stack = await startStack();
  world.browser = await launch();
  world.hook = await startHook();
}, { timeout: 1_800_000 });

after(async () => {
  await world.browser?.close();
  await world.hook?.stop();
  await world.stack?.stop();
});

describe('access', () => access(world));
describe('documentation', () => documentation(world));
describe('guides', () => guides(world));
describe('administration', () => administration(world));
describe('partner', () => partner(world));
describe('states', () => states(world));
describe('what strangers wrote', () => strangers(world));
describe('every page', () => everyPage(world));
describe('size', () => size(world));
