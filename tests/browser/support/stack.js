// The real local stack on a separate port, with its own demo data.
import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = new URL('../../..', import.meta.url).pathname;

/**
 * Builds and starts the stack.
 *
 * While you work on the pages, PORTAL_STACK can name the data folder of a running stack instead.
 * When the stack has stopped, its logs are in the folder PORTAL_LOGS.
 */
export async function startStack() {
  const running = process.env.PORTAL_STACK;
  if (running) return { ...(await demo(running)), stop: async () => {} };
  const folder = await mkdtemp(join(tmpdir(), 'portal-'));
  const data = join(folder, 'data');
  const options = ['--port', '0', '--fresh', '--every', '1', '--data-dir', data];
  const log = await open(join(folder, 'stack.log'), 'a');
  const program = start(options, log.fd);
  const ended = new Promise((resolve) => program.once('exit', resolve));
  const written = () => readFile(join(folder, 'stack.log'), 'utf8');
  const stop = async () => {
    program.kill('SIGINT');
    await ended;
    await log.close();
    if (process.env.PORTAL_LOGS) await keepLogs(folder, process.env.PORTAL_LOGS);
    await rm(folder, { recursive: true, force: true });
  };
  while (!(await written()).includes('Ctrl-C stops it.')) {
    if (program.exitCode !== null || program.signalCode !== null) {
      await stop();
      throw new Error(`the stack ended with ${program.exitCode ?? program.signalCode}`);
    }
    await setTimeout(50);
  }
  return { ...(await demo(data)), stop };
}

async function keepLogs(folder, kept) {
  await mkdir(kept, { recursive: true });
  await cp(join(folder, 'stack.log'), join(kept, 'stack.log'));
  for (const name of await readdir(join(folder, 'data/logs')).catch(() => [])) await cp(join(folder, 'data/logs', name), join(kept, name));
}

function start(options, log) {
  const find = fileURLToPath(new URL('../../tools/stack-program', import.meta.url));
  const program = execFileSync(find, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  return spawn(program, options, { cwd: root, stdio: ['ignore', log, log] });
}

async function demo(folder) {
  const { baseUrl, adminSecret, keys } = JSON.parse(await readFile(join(folder, 'demo.json'), 'utf8'));
  return { url: baseUrl, adminSecret, keys };
}

/** Starts a partner's endpoint. `answer` can be changed while it runs. */
export async function startHook() {
  const hook = { received: [], answer: { status: 200, body: '' } };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      hook.received.push({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.writeHead(hook.answer.status, { 'content-type': 'text/html' });
      response.end(hook.answer.body);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  hook.url = `http://127.0.0.1:${server.address().port}/hook`;
  hook.stop = () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
  return hook;
}

/** Calls the API as a program does. */
export async function api(stack, method, path, { body, token, admin } = {}) {
  const headers = { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }), ...(admin && { 'x-admin-secret': stack.adminSecret }) };
  const response = await fetch(stack.url + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}
