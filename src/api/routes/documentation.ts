import { readFile } from 'node:fs/promises';
import { swaggerUI } from '@hono/swagger-ui';
import { absolutePath } from 'swagger-ui-dist';
import { stringify } from 'yaml';
import { describeApi } from '../description.ts';
import type { Api } from '../operation.ts';

/** The browser's parts of Swagger UI come from this server: the page works where the internet does not. */
const ASSETS: Record<string, string> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
};

const PAGE = `
  <link rel="stylesheet" href="/api-docs/swagger-ui.css">
  <div id="swagger-ui"></div>
  <script src="/api-docs/swagger-ui-bundle.js"></script>
  <script>
    window.onload = () => SwaggerUIBundle({ dom_id: '#swagger-ui', url: '/openapi.json', persistAuthorization: true });
  </script>`;

export function addDocumentation(api: Api): void {
  const description = () => describeApi(api);
  api.get('/', (c) => c.redirect('/api-docs'));
  api.get('/openapi.json', (c) => c.json(description()));
  for (const path of ['/openapi.yaml', '/api-docs/v1/swagger.yaml']) {
    api.get(path, (c) => c.text(stringify(description()), 200, { 'content-type': 'application/yaml' }));
  }
  api.get('/api-docs', swaggerUI({ url: '/openapi.json', title: 'BJR', manuallySwaggerUIHtml: () => PAGE }));
  api.get('/api-docs/:file', async (c, next) => {
    const file = c.req.param('file');
    const type = ASSETS[file];
    if (!type) return next();
    const content = await readFile(`${absolutePath()}/${file}`);
    return c.body(content, 200, { 'content-type': type, 'cache-control': 'public, max-age=86400' });
  });
}
