// @ts-check
// Samples of a call in three languages.

/**
 * @typedef {{method: string, url: string, headers: Record<string, string>, body: string | null}} SampleCall
 */

/** @param {SampleCall} call @returns {[string, string][]} */
export const samples = (call) => [['curl', curl(call)], ['JavaScript', javascript(call)], ['Python', python(call)]];

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {SampleCall} call */
function curl({ method, url, headers, body }) {
  const lines = [`curl ${method === 'GET' ? '' : `-X ${method} `}${quoted(url)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== null) lines.push(`-d ${quoted(body)}`);
  return lines.join(' \\\n  ');
}

/** @param {SampleCall} call */
function javascript({ method, url, headers, body }) {
  const options = [
    ...(method === 'GET' ? [] : [`  method: '${method}',`]),
    ...(Object.keys(headers).length ? [`  headers: ${indent(JSON.stringify(headers, null, 2), '  ')},`] : []),
    ...(body === null ? [] : [`  body: JSON.stringify(${indent(body, '  ')}),`]),
  ];
  return `const response = await fetch(${JSON.stringify(url)}${options.length ? `, {\n${options.join('\n')}\n}` : ''});\nif (!response.ok) throw new Error((await response.json()).detail);\nconsole.log(await response.json());`;
}

/** @param {SampleCall} call */
function python({ method, url, headers, body }) {
  const values = [
    `    "${method}",`,
    `    ${JSON.stringify(url)},`,
    ...(Object.keys(headers).length ? [`    headers=${indent(JSON.stringify(headers, null, 4), '    ')},`] : []),
    ...(body === null ? [] : [`    json=${indent(pythonic(body), '    ')},`]),
  ];
  return `import requests\n\nresponse = requests.request(\n${values.join('\n')}\n)\nresponse.raise_for_status()\nprint(response.json())`;
}

/** Converts JSON to Python; words inside strings stay unchanged. @param {string} json */
const pythonic = (json) => json.replace(/"(?:\\.|[^"\\])*"|\b(?:true|false|null)\b/g, (word) => ({ true: 'True', false: 'False', null: 'None' })[word] ?? word);

/** @param {string} text @param {string} by */
const indent = (text, by) => text.replaceAll('\n', `\n${by}`);
