// @ts-check
import { useCallback, useEffect, useRef, useState } from '../vendor/preact.js';

/**
 * @template T
 * @typedef {{data: T | null, error: any, loading: boolean, reload: () => void, set: (data: T) => void}} Loaded
 */

/**
 * Loads data with `read`, again whenever `key` changes. Drops late responses to earlier requests.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @param {string} key
 * @returns {Loaded<T>}
 */
export function useLoad(read, key) {
  const [state, setState] = useState(/** @type {{data: T | null, error: any, loading: boolean}} */ ({ data: null, error: null, loading: true }));
  const [round, setRound] = useState(0);
  const reader = useRef(read);
  reader.current = read;
  useEffect(() => {
    const abort = new AbortController();
    setState((state) => ({ ...state, loading: true }));
    reader.current(abort.signal).then(
      (data) => abort.signal.aborted || setState({ data, error: null, loading: false }),
      (error) => abort.signal.aborted || setState((state) => ({ data: state.data, error, loading: false })),
    );
    return () => abort.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((round) => round + 1), []);
  const set = useCallback((/** @type {T} */ data) => setState({ data, error: null, loading: false }), []);
  return { ...state, reload, set };
}

/**
 * Loads a list page by page, by cursor.
 * @template Row
 * @param {(cursor: string, signal?: AbortSignal) => Promise<{data: Row[], pagination: {hasMore: boolean, nextCursor: string | null}}>} read
 * @param {string} key
 */
export function usePages(read, key) {
  const first = useLoad((signal) => read('', signal), key);
  const [more, setMore] = useState(/** @type {{of: unknown, rows: Row[], cursor: string | null, loading: boolean, error: any}} */ ({ of: null, rows: [], cursor: null, loading: false, error: null }));
  const follows = more.of === first.data && first.data !== null;
  const rows = [...(first.data?.data ?? []), ...(follows ? more.rows : [])];
  const cursor = follows ? more.cursor : (first.data?.pagination.nextCursor ?? null);
  async function loadMore() {
    const start = { of: first.data, rows: follows ? more.rows : [], cursor, loading: true, error: null };
    setMore(start);
    try {
      const page = await read(cursor ?? '');
      setMore({ ...start, rows: [...start.rows, ...page.data], cursor: page.pagination.nextCursor, loading: false });
    } catch (error) {
      setMore({ ...start, loading: false, error });
    }
  }
  return {
    ...first,
    rows,
    hasMore: Boolean(cursor),
    loadMore,
    loadingMore: follows && more.loading,
    moreError: follows ? more.error : null,
  };
}

/** Calls `work` every `milliseconds` while `on` is true. @param {() => void} work @param {number} milliseconds @param {boolean} on */
export function useEvery(work, milliseconds, on) {
  const current = useRef(work);
  current.current = work;
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => current.current(), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds, on]);
}
