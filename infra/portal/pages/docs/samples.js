// @ts-check
// Samples of a call in five languages.

/**
 * @typedef {{method: string, url: string, headers: Record<string, string>, body: string | null}} SampleCall
 */

/** Returns the name, text and language of each sample. @param {SampleCall} call @returns {[string, string, string][]} */
export const samples = (call) => [
  ['curl', curl(call), 'bash'],
  ['JavaScript', javascript(call), 'javascript'],
  ['Python', python(call), 'python'],
  ['C#', csharp(call), 'csharp'],
  ['PHP', php(call), 'php'],
];

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

/** @param {SampleCall} call */
function csharp({ method, url, headers, body }) {
  const { 'Content-Type': type, ...others } = headers;
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const lines = [
    'using System.Net.Http;',
    'using System.Text;',
    '',
    'using var client = new HttpClient();',
    `using var request = new HttpRequestMessage(${method === 'PATCH' ? 'new HttpMethod("PATCH")' : `HttpMethod.${verb}`}, ${JSON.stringify(url)});`,
    ...Object.entries(others).map(([name, value]) => `request.Headers.Add(${JSON.stringify(name)}, ${JSON.stringify(value)});`),
    // In a verbatim string, only quotes are written twice.
    ...(body === null ? [] : [`request.Content = new StringContent(@"${body.replaceAll('"', '""')}", Encoding.UTF8, ${JSON.stringify(type)});`]),
    'using var response = await client.SendAsync(request);',
    'response.EnsureSuccessStatusCode();',
    'System.Console.WriteLine(await response.Content.ReadAsStringAsync());',
  ];
  return lines.join('\n');
}

/** @param {SampleCall} call */
function php({ method, url, headers, body }) {
  const single = (/** @type {string} */ text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const names = Object.entries(headers).map(([name, value]) => `        ${single(`${name}: ${value}`)},`);
  const lines = [
    '<?php',
    `$curl = curl_init(${single(url)});`,
    'curl_setopt_array($curl, [',
    `    CURLOPT_CUSTOMREQUEST => ${single(method)},`,
    ...(names.length ? ['    CURLOPT_HTTPHEADER => [', ...names, '    ],'] : []),
    ...(body === null ? [] : [`    CURLOPT_POSTFIELDS => ${single(body)},`]),
    '    CURLOPT_RETURNTRANSFER => true,',
    ']);',
    '$answer = json_decode(curl_exec($curl), true);',
    'if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) >= 400) {',
    "    throw new Exception($answer['detail']);",
    '}',
    'print_r($answer);',
  ];
  return lines.join('\n');
}

/** @param {string} text @param {string} by */
const indent = (text, by) => text.replaceAll('\n', `\n${by}`);
