import type { MiddlewareHandler } from 'hono';
import { AppError, type BodyFault } from '../../domain/errors.ts';
import type { ApiEnv } from '../types.ts';

/**
 * A request's parameters, merged from its query string, JSON, form or multipart body; the query string wins. A body that
 * is announced as JSON and empty counts as none.
 */
export const readParams: MiddlewareHandler<ApiEnv> = async (c, next) => {
  c.set('params', { ...(await readBody(c.req.raw)), ...fieldsOf(new URL(c.req.url).searchParams) });
  await next();
};

/** Far above what any operation takes. More costs time to read, for whoever sends it: no token has been asked for yet. */
const FIELDS_MAX = 1000;
const DEPTH_MAX = 10;

export const hasBody = (method: string) => method !== 'GET' && method !== 'HEAD';

async function readBody(request: Request): Promise<Record<string, unknown>> {
  if (!hasBody(request.method)) return {};
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/x-www-form-urlencoded') return readUrlEncoded(await request.text());
  if (type === 'multipart/form-data') return readForm(request);
  const text = await request.text();
  if (text.trim() === '') return {};
  if (type === '' || type.includes('json')) return parseJson(text);
  throw malformed({ code: 'body_content_type', type });
}

function readUrlEncoded(text: string): Record<string, unknown> {
  if (text.split('&', FIELDS_MAX + 1).length > FIELDS_MAX) throw malformed({ code: 'body_too_complex' });
  return fieldsOf(new URLSearchParams(text));
}

async function readForm(request: Request): Promise<Record<string, unknown>> {
  const form = await request.formData().catch((error: unknown) => {
    throw malformed({ code: 'body_form' }, error);
  });
  return fieldsOf(form);
}

/** `tags[]=a&tags[]=b` is a list; of a name that is given more than once without brackets the last counts. */
function fieldsOf(form: Iterable<[string, unknown]>): Record<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [key, value] of form) {
    const name = key.replace(/\[\]$/, '');
    const former = fields.get(name);
    fields.set(name, name === key ? value : [...(Array.isArray(former) ? former : []), value]);
  }
  return Object.fromEntries(fields);
}

function parseJson(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw malformed({ code: 'body_json', reason }, error);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw malformed({ code: 'body_not_an_object' });
  }
  if (Object.keys(body).length > FIELDS_MAX || isDeeper(body, DEPTH_MAX)) throw malformed({ code: 'body_too_complex' });
  return { ...body };
}

/** What goes through a value step by step, such as JSON.stringify, runs out of stack where it is too deep. */
function isDeeper(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depthMax === 0 || Object.values(value).some((inner) => isDeeper(inner, depthMax - 1));
}

function malformed(fault: BodyFault, cause?: unknown): AppError {
  return new AppError({ code: 'malformed', fault }, { cause });
}
