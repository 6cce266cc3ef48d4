// @ts-check
// Formats times and numbers. Times are in the user's time zone, which every page shows; usage days
// are in UTC.

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

const time = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: '2-digit', month: 'short', timeZone: 'UTC' });
const number = new Intl.NumberFormat('en-US');
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** @param {string | null | undefined} at */
export const formatTime = (at) => (at ? time.format(new Date(at)).replace(',', '') : '–');

/** @param {string} date A UTC date. */
export const formatDay = (date) => day.format(new Date(`${date}T00:00:00Z`)).replace(',', '');

/** @param {number} value */
export const formatNumber = (value) => number.format(value);

/** @param {number | null | undefined} ms */
export function formatDuration(ms) {
  if (ms === null || ms === undefined) return '–';
  return ms < 1000 ? `${number.format(Math.round(ms * 10) / 10)} ms` : `${number.format(Math.round(ms / 10) / 100)} s`;
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]];

/** @param {string | null | undefined} at */
export function formatAgo(at) {
  if (!at) return 'never';
  const distance = new Date(at).getTime() - Date.now();
  const [unit, length] = UNITS.find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1000];
  return relative.format(Math.round(distance / length), unit);
}

/** Returns the next UTC date. @param {string} date */
export const nextDay = (date) => new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
