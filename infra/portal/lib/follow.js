// @ts-check
// Marks in an index which of the targets is being read.

/** Distance from the top of the window within which a heading counts as being read, in pixels. */
const READING = 140;

/**
 * Calls `mark` with the id of the last target above the reading line whenever it changes. Returns
 * a function that ends this.
 * @param {() => HTMLElement[]} targets In the order of the page. @param {(target: HTMLElement | null) => void} mark
 */
export function follow(targets, mark) {
  /** @type {HTMLElement | null | undefined} */
  let current;
  let waiting = false;
  const update = () => {
    waiting = false;
    const all = targets();
    const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const read = all.filter((it) => it.getBoundingClientRect().top <= READING);
    const next = (atEnd ? all.filter((it) => it.getBoundingClientRect().top < innerHeight).at(-1) : read.at(-1)) ?? null;
    if (next !== current) mark((current = next));
  };
  const scrolled = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(update);
  };
  addEventListener('scroll', scrolled, { passive: true });
  addEventListener('resize', scrolled, { passive: true });
  update();
  return () => {
    removeEventListener('scroll', scrolled);
    removeEventListener('resize', scrolled);
  };
}

/** Scrolls an index so that its entry is visible, without moving the page. @param {Element | null | undefined} entry */
export function reveal(entry) {
  const index = entry?.closest('[data-scrolls]');
  if (!(entry instanceof HTMLElement) || !(index instanceof HTMLElement)) return;
  const [outer, inner] = [index.getBoundingClientRect(), entry.getBoundingClientRect()];
  if (inner.top < outer.top || inner.bottom > outer.bottom) index.scrollTop += inner.top - outer.top - outer.height / 3;
}
