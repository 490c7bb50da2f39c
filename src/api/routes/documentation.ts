import { readFile } from 'node:fs/promises';
import { swaggerUI } from '@hono/swagger-ui';
// Its main file would run all of Swagger UI here.
import absolutePath from 'swagger-ui-dist/absolute-path.js';
import { stringify } from 'yaml';
import { describeApi } from '../description.ts';
import type { Api } from '../operation.ts';

/** The browser's parts of Swagger UI come from this server: the page works where the internet does not. */
const ASSETS = new Map([
  ['swagger-ui.css', 'text/css'],
  ['swagger-ui-bundle.js', 'text/javascript'],
  ['favicon-32x32.png', 'image/png'],
]);

/** A file of its own: the page's policy allows no script inside it. */
const START = `window.onload = () =>
  SwaggerUIBundle({ dom_id: '#swagger-ui', url: '/openapi.json', persistAuthorization: true });
`;

const PAGE = `
  <link rel="stylesheet" href="/api-docs/swagger-ui.css">
  <div id="swagger-ui"></div>
  <script src="/api-docs/swagger-ui-bundle.js"></script>
  <script src="/api-docs/start.js"></script>`;

const CACHED = { 'cache-control': 'public, max-age=86400' };

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

export function addDocumentation(api: Api): void {
  // Anybody may ask for it, and it takes a while to make.
  const description = once(() => describeApi(api));
  const json = once(() => JSON.stringify(description()));
  const yaml = once(() => stringify(description()));
  api.get('/', (c) => c.redirect('/api-docs'));
  // Browsers ask for it unbidden.
  api.get('/favicon.ico', (c) => c.redirect('/api-docs/favicon-32x32.png'));
  api.get('/openapi.json', (c) => c.body(json(), 200, { 'content-type': 'application/json' }));
  for (const path of ['/openapi.yaml', '/api-docs/v1/swagger.yaml']) {
    api.get(path, (c) => c.text(yaml(), 200, { 'content-type': 'application/yaml' }));
  }
  api.get('/api-docs', swaggerUI({ url: '/openapi.json', title: 'BJR', manuallySwaggerUIHtml: () => PAGE }));
  api.get('/api-docs/start.js', (c) => c.body(START, 200, { 'content-type': 'text/javascript', ...CACHED }));
  api.get('/api-docs/:file', async (c, next) => {
    const file = c.req.param('file');
    const type = ASSETS.get(file);
    if (!type) return next();
    const content = await readFile(`${absolutePath()}/${file}`);
    return c.body(content, 200, { 'content-type': type, ...CACHED });
  });
}
