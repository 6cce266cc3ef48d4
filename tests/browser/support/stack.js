// The real local stack on a port of its own, with demo data of its own.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('../../..', import.meta.url).pathname;

/** Builds and starts the stack, or uses the one that PORTAL_STACK names by its data folder (while pages are being written). */
export async function startStack() {
  const running = process.env.PORTAL_STACK;
  if (running) return { ...(await demo(running)), stop: async () => {} };
  const folder = await mkdtemp(join(tmpdir(), 'portal-'));
  const program = spawn('cargo', ['run', '--quiet', '--', '--port', '0', '--fresh', '--every', '1', '--data-dir', folder], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => program.once('exit', resolve));
  await new Promise((resolve, reject) => {
    let printed = '';
    program.stdout.on('data', (text) => {
      printed += text;
      if (printed.includes('Ctrl-C stops it.')) resolve();
    });
    ended.then((code) => reject(new Error(`the stack ended with ${code}: ${printed}`)));
  });
  const stop = async () => {
    program.kill('SIGINT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { ...(await demo(folder)), stop };
}

async function demo(folder) {
  const { baseUrl, adminSecret, keys } = JSON.parse(await readFile(join(folder, 'demo.json'), 'utf8'));
  return { url: baseUrl, adminSecret, keys };
}

/** A partner's endpoint; `answer` may be changed while it runs. */
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

/** A call to the API as a program makes it. */
export async function api(stack, method, path, { body, token, admin } = {}) {
  const headers = { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }), ...(admin && { 'x-admin-secret': stack.adminSecret }) };
  const response = await fetch(stack.url + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}
