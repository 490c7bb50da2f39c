import { appendFileSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import formatsPlugin from 'ajv-formats';

/** The part of an OpenAPI 3.0 description that the tests read. */
export interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

export interface Operation {
  operationId: string;
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema }[];
  requestBody?: unknown;
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

type Schema = Record<string, unknown>;

export function readDescription(): Description {
  return JSON.parse(readFileSync(fileURLToPath(new URL('../../openapi.json', import.meta.url)), 'utf8')) as Description;
}

const description = readDescription();
const ajv = new Ajv({ strict: false, allErrors: true });
formatsPlugin.default(ajv);
// OpenAPI's own, which say how a number is held and not what it may be.
for (const format of ['float', 'int32', 'int64', 'password']) ajv.addFormat(format, true);
ajv.addSchema({ $id: 'description', components: toJsonSchema(description.components) });

const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    operation,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
    // A path without parameters goes before one with.
    rank: path.split('{').length,
  })),
);
operations.sort((a, b) => a.rank - b.rank);

/** OpenAPI 3.0 as JSON Schema, and stricter: a client may raise on a field that it does not know. */
function toJsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJsonSchema);
  if (typeof value !== 'object' || value === null) return value;
  const { nullable, ...rest } = value as Schema;
  const schema: Schema = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, toJsonSchema(inner)]));
  const reference = schema['$ref'];
  if (typeof reference === 'string') schema['$ref'] = reference.replace('#/', 'description#/');
  if (schema['type'] === 'object' && schema['properties'] && schema['additionalProperties'] === undefined) {
    schema['additionalProperties'] = false;
  }
  return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema;
}

const validators = new Map<Schema, ValidateFunction>();

function validatorOf(schema: Schema): ValidateFunction {
  const known = validators.get(schema) ?? ajv.compile(toJsonSchema(schema) as Schema);
  validators.set(schema, known);
  return known;
}

export interface Seen {
  method: string;
  path: string;
  status: number;
  contentType: string;
  body: unknown;
}

/**
 * What is wrong with an answer by the description; [] when nothing is, or when the path is not described. What was seen is
 * noted for the end of the suite.
 */
export function findDescriptionProblems({ method, path, status, contentType, body }: Seen): string[] {
  const pathname = path.split('?')[0] ?? '';
  const found = operations.find((one) => one.method === method && one.pattern.test(pathname));
  if (!found) return [];
  const { operationId, responses } = found.operation;
  const response = responses[String(status)];
  if (!response) return [`${operationId}: status ${status} is not described`];
  note(operationId, status);
  const [type = '', content] = Object.entries(response.content ?? {})[0] ?? [];
  if (!contentType.startsWith(type))
    return [`${operationId} ${status}: content type ${contentType} instead of ${type}`];
  if (type !== 'application/json' || !content) return [];
  const validate = validatorOf(content.schema);
  if (validate(body)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${operationId} ${status}: ${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

const noted = new Set<string>();

function note(operationId: string, status: number): void {
  const line = `${operationId} ${status}`;
  const file = process.env['BJR_TEST_SEEN'];
  if (!file || noted.has(line)) return;
  noted.add(line);
  appendFileSync(file, `${line}\n`);
}

/** Described statuses that no test of the suite has seen; nobody asks for a 500, and 503 only where Redis is away. */
export function findUnseen(seen: Set<string>): string[] {
  return operations.flatMap(({ operation }) =>
    Object.keys(operation.responses)
      .filter((status) => status !== '500')
      .map((status) => `${operation.operationId} ${status}`)
      .filter((line) => !seen.has(line)),
  );
}
