// @ts-check
// Splits code into parts for highlighting. Knows only what most languages share: comments, strings,
// numbers and keywords.

const KEYWORDS = new Set((
  'and as async await bool break case catch class const continue def do echo elif else except export false False finally fn for foreach from func function '
  + 'if import in include is let long namespace new nil none None not null or package private public raise readonly require return static string super switch '
  + 'then this throw true True try unless using var void while with yield done'
).split(' '));

const COMMENT = { slash: String.raw`\/\/[^\n]*`, hash: String.raw`(?<=^|\s)#[^\n]*` };
const REST = String.raw`("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|` + '`(?:\\\\.|[^`\\\\])*`' + String.raw`)|(\b\d[\d_.]*\b)|([A-Za-z_]\w*)`;

/** @param {string} language */
const commentsOf = (language) => (['bash', 'python', 'ruby'].includes(language) ? COMMENT.hash : language === 'json' || language === 'http' ? '(?!)' : COMMENT.slash);

/**
 * Returns the parts of the code, each with the class of its color, if it has one.
 * @param {string} code @param {string} language @returns {[string, string][]}
 */
export function highlight(code, language) {
  const pattern = new RegExp(`(${commentsOf(language)})|${REST}`, 'gm');
  /** @type {[string, string][]} */
  const parts = [];
  let end = 0;
  for (const match of code.matchAll(pattern)) {
    const [text, comment, quoted, number, word] = match;
    const kind = comment ? 'comment' : quoted ? (isName(code, match.index + text.length, language) ? 'name' : 'string') : number ? 'number' : word && KEYWORDS.has(word) ? 'keyword' : '';
    if (!kind) continue;
    if (match.index > end) parts.push(['', code.slice(end, match.index)]);
    parts.push([`hl-${kind}`, text]);
    end = match.index + text.length;
  }
  if (end < code.length) parts.push(['', code.slice(end)]);
  return parts;
}

/** Whether a quoted text is the name of a member of a JSON object. @param {string} code @param {number} end @param {string} language */
const isName = (code, end, language) => language === 'json' && /^\s*:/.test(code.slice(end, end + 4));
