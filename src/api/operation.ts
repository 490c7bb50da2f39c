import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { GenericMessage } from './schemas/common.ts';
import type { ApiEnv } from './types.ts';
import { z } from './zod.ts';

/** One operation of the contract: it feeds the route, its description and so the generated clients. */
export interface Operation {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** In OpenAPI's form: `/job_api/{id}`. */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  isPublic?: boolean;
  params?: Record<string, z.ZodType>;
  query?: Record<string, z.ZodType>;
  /** Request headers. */
  headers?: Record<string, z.ZodType>;
  body?: z.ZodType;
  /** Status → what it means, with the schema of its answer; errors are GenericMessages unless they say otherwise. */
  responses: Record<number, OperationResponse>;
}

export interface OperationResponse {
  description: string;
  schema?: z.ZodType;
  /** application/json, unless another. */
  contentType?: string;
  headers?: z.ZodObject;
}

export type Handler = (c: Context<ApiEnv>) => Promise<Response> | Response;
export type Api = OpenAPIHono<ApiEnv>;

/**
 * Adds an operation. Its parameters are read by the route itself, from wherever a client puts them, so the description's
 * schemas are not used to validate: what they say of forms is too narrow for the clients that exist.
 */
export function addOperation(api: Api, operation: Operation, guards: MiddlewareHandler<ApiEnv>[], handler: Handler) {
  api.openAPIRegistry.registerPath(describe(operation));
  const path = operation.path.replaceAll(/\{(\w+)\}/g, ':$1');
  api.on([operation.method.toUpperCase()], [path], ...guards, handler);
}

function describe(operation: Operation) {
  const { params, query, headers, body } = operation;
  return createRoute({
    method: operation.method,
    path: operation.path,
    operationId: operation.operationId,
    tags: [operation.tag],
    summary: operation.summary,
    security: operation.isPublic ? [] : [{ bearer: [] }, { token: [] }],
    request: {
      ...(params && { params: z.object(params) }),
      ...(query && { query: z.object(query) }),
      ...(headers && { headers: z.object(headers) }),
      ...(body && { body: { required: true, content: { 'application/json': { schema: body } } } }),
    },
    responses: Object.fromEntries(
      Object.entries({ ...operation.responses, ...commonResponses(operation) }).map(([status, response]) => [
        status,
        describeResponse(response),
      ]),
    ),
  });
}

function commonResponses({ isPublic, body, responses }: Operation): Record<number, OperationResponse> {
  return {
    400: responses[400] ?? { description: 'The request cannot be read, or names an unknown time zone' },
    ...(isPublic ? {} : { 401: responses[401] ?? { description: 'Not authorized' } }),
    ...(body && { 413: { description: 'The request body is larger than 1 MiB' } }),
    500: { description: 'A server error; the message has an id that the log has too' },
  };
}

function describeResponse({ description, schema = GenericMessage, contentType, headers }: OperationResponse) {
  return { description, content: { [contentType ?? 'application/json']: { schema } }, ...(headers && { headers }) };
}
