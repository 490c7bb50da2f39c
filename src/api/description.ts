import { VERSION } from '../platform/version.ts';
import type { Api } from './operation.ts';

/** The OpenAPI 3.0 description, made from the operations: 3.0 is what every client generator reads. */
export function describeApi(api: Api) {
  const document = api.getOpenAPIDocument({
    openapi: '3.0.3',
    info: {
      title: "BJR (Barry's Job Runner)",
      version: VERSION,
      description: 'Runs shell commands on a cron schedule.',
    },
    servers: [{ url: '/' }],
  });
  document.components = {
    ...document.components,
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Bearer TOKEN' },
      token: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'TOKEN alone' },
    },
  };
  return document;
}
