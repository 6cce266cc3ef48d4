// Makes the Postman collection of a description: `node postman.js DESCRIPTION COLLECTION`.
// Values without an example are made up.
import './seeded.js';
import { readFileSync, writeFileSync } from 'node:fs';
import converter from 'openapi-to-postmanv2';

const TOKEN_SCRIPT = [
  "pm.test('a token was issued', () => pm.response.to.have.status(200));",
  "pm.collectionVariables.set('accessToken', pm.response.json().accessToken);",
];
const INTRODUCTION = `Set the variables \`baseUrl\`, \`PPass\` and \`apiKey\` of this collection, then send "Exchange your API key for an access token."
Its script stores the token, which all other requests send.\n\n`;

const text = (description) => (typeof description === 'string' ? description : (description?.content ?? ''));

const [description, output] = process.argv.slice(2);
const options = {
  folderStrategy: 'Tags', requestParametersResolution: 'Example', exampleParametersResolution: 'Example', enableOptionalParameters: false,
  includeAuthInfoInExample: false,
};
converter.convert({ type: 'string', data: readFileSync(description, 'utf8') }, options, (error, made) => {
  if (error || !made.result) throw error ?? new Error(made.reason);
  const collection = made.output[0].data;
  delete collection.info._postman_id;
  collection.info.description = { type: 'text/markdown', content: INTRODUCTION + text(collection.info.description) };
  collection.auth = { type: 'bearer', bearer: [{ key: 'token', value: '{{accessToken}}', type: 'string' }] };
  collection.variable = Object.entries({ baseUrl: 'https://api.example.com', PPass: 'DemoOffice', apiKey: '', accessToken: '' })
    .map(([key, value]) => ({ key, value, type: 'string' }));
  collection.item.forEach(tidy);
  writeFileSync(output, `${JSON.stringify(collection, null, 1)}\n`);
});

/** Removes what is random, and sets what a partner would have to. */
function tidy(item) {
  delete item.id;
  item.item?.forEach(tidy);
  if (!item.request) return;
  const { request } = item;
  // Secured requests inherit the collection's token.
  if (request.auth) delete request.auth;
  prepare(request);
  if (request.url.path.join('/') === 'v1/:PPass/auth/token') {
    request.auth = { type: 'noauth' };
    request.body.raw = JSON.stringify({ apiKey: '{{apiKey}}' }, null, 2);
    item.event = [{ listen: 'test', script: { type: 'text/javascript', exec: TOKEN_SCRIPT } }];
  }
  // The description has an example of each error code; a collection need not repeat it for each request.
  item.response = item.response.filter((response) => response.code < 300);
  for (const response of item.response) {
    delete response.id;
    response.header = response.header.filter((header) => header.key === 'Content-Type');
    prepare(response.originalRequest);
  }
}

/** Optional parameters are switched off and empty: the converter gives those without an example random values. */
function prepare(request) {
  for (const variable of request.url.variable ?? []) if (variable.key === 'PPass') variable.value = '{{PPass}}';
  for (const parameter of [...(request.url.query ?? []), ...(request.header ?? [])]) if (parameter.disabled) parameter.value = '';
  for (const header of request.header ?? []) if (header.key === 'Idempotency-Key') Object.assign(header, { value: '{{$guid}}', disabled: false });
}
