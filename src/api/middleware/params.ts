import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import type { ApiEnv } from '../types.ts';

/**
 * A request's parameters, merged from its query string, JSON, form or multipart body; the query string wins. A body that
 * is announced as JSON and empty counts as none.
 */
export const readParams: MiddlewareHandler<ApiEnv> = async (c, next) => {
  c.set('params', { ...(await readBody(c.req.raw)), ...c.req.query() });
  await next();
};

async function readBody(request: Request): Promise<Record<string, unknown>> {
  if (request.method === 'GET' || request.method === 'HEAD') return {};
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/x-www-form-urlencoded' || type === 'multipart/form-data') return readForm(request);
  const text = await request.text();
  if (text.trim() === '') return {};
  if (type === '' || type.includes('json')) return parseJson(text);
  throw malformed(`The content type '${type}' cannot be read. Send application/json or a form.`);
}

async function readForm(request: Request): Promise<Record<string, unknown>> {
  try {
    const form = await request.formData();
    return Object.fromEntries([...form].map(([key, value]) => [key.replace(/\[\]$/, ''), value]));
  } catch (error) {
    throw malformed('The form in the request body cannot be read.', error);
  }
}

function parseJson(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw malformed(`The JSON in the request body cannot be read: ${reason}`, error);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw malformed('The JSON in the request body must be an object.');
  }
  return { ...body };
}

function malformed(detail: string, cause?: unknown): AppError {
  return new AppError({ code: 'malformed', detail }, { cause });
}
