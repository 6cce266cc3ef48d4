// @ts-check
// Calls the API on the portal's own origin. The session is an HttpOnly cookie, so calls need no key or
// token.

/**
 * The error of a failed call: a problem from the API (RFC 9457), or no response (status 0).
 */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {Partial<import('./types').Problem>} problem
   */
  constructor(status, problem) {
    super(problem.detail || problem.title || 'The call failed');
    this.status = status;
    this.code = problem.code ?? '';
    this.title = problem.title ?? '';
    this.requestId = problem.requestId ?? '';
    this.errors = problem.errors ?? [];
    /** Additional data of the problem. */
    this.data = problem.data;
    /** Seconds to wait before a retry, if the API says so; otherwise 0. */
    this.retryAfter = 0;
  }
}

/** @type {Set<(status: number) => void>} */
const listeners = new Set();

/**
 * Calls `listener` with the status of every response, to track the session's idle time and its end.
 * @param {(status: number) => void} listener
 */
export function onAnswer(listener) {
  listeners.add(listener);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{headers?: Record<string, string>, signal?: AbortSignal}} [options]
 */
export async function send(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { 'X-Requested-With': 'portal', ...options.headers };
  if (body !== undefined) headers['Content-Type'] ??= 'application/json';
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { method, headers, body: text, credentials: 'same-origin', signal: options.signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { title: 'No response', detail: 'The API could not be reached. Check your connection and try again.' });
  }
  for (const listener of listeners) listener(response.status);
  return response;
}

/**
 * Returns the body of a successful call; otherwise throws an {@link ApiError}.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{headers?: Record<string, string>, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, options) {
  const response = await send(method, path, body, options);
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

/**
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query]
 * @param {AbortSignal} [signal]
 */
export function get(path, query = {}, signal) {
  return call('GET', withQuery(path, query), undefined, { signal });
}

/**
 * Sends a POST that can be retried if its response is lost. All retries use the same key `once`.
 * @param {string} path
 * @param {unknown} body
 * @param {string} once
 */
export function postOnce(path, body, once) {
  return call('POST', path, body, { headers: { 'Idempotency-Key': once } });
}

/** @param {string} path @param {Record<string, string | number | null | undefined>} query */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** @param {Response} response */
export async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  const error = new ApiError(response.status, problem);
  error.requestId ||= response.headers.get('X-Request-Id') ?? '';
  error.retryAfter = Number(response.headers.get('Retry-After')) || 0;
  return error;
}
