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
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path)) orderParameters(operation);
  }
  return document;
}

/** Generated clients take parameters by position, and the first BJR put these the other way round. */
const QUERY_FIRST = new Set(['getFolderJobs']);

function orderParameters(operation: { operationId?: string; parameters?: { in?: string }[] }): void {
  if (!operation.parameters || !QUERY_FIRST.has(operation.operationId ?? '')) return;
  const [query, rest] = [true, false].map((isQuery) =>
    operation.parameters?.filter((parameter) => (parameter.in === 'query') === isQuery),
  );
  operation.parameters = [...(query ?? []), ...(rest ?? [])];
}
