import { findFreePort } from '../../src/embedded/port.ts';
import { findDescriptionProblems } from './description.ts';
import type { TestEnvironment } from './environment.ts';
import { type Process, startProcess } from './processes.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // The contract's envelope, or whatever came: what a test expects of it is in the test.
  body: any;
  text: string;
}

export interface ApiServer {
  url: string;
  process: Process;
  /** Signs in and keeps the token for `call`. */
  signIn(username: string, password?: string): Promise<Caller>;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
}

export type Caller = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
}

/** The API as a real process on a port of its own, over the environment's database with the first start's users. */
export async function startApi(env: TestEnvironment, settings: Record<string, string> = {}): Promise<ApiServer> {
  const port = await findFreePort();
  const process = startProcess('api', { ...env.env, PORT: String(port), ...settings });
  return connectApi(process, port);
}

/** Once that process, an API, is ready on that port. */
export async function connectApi(process: Process, port: number): Promise<ApiServer> {
  await process.line((line) => String(line['msg']).startsWith('The API is ready'));
  const url = `http://127.0.0.1:${port}`;

  const call = async (method: string, path: string, { body, headers = {} }: CallOptions = {}): Promise<Answer> => {
    const isText = typeof body === 'string' || body instanceof FormData || body instanceof URLSearchParams;
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...(body !== undefined && !isText && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const contentType = response.headers.get('content-type') ?? '';
    const seen = { method, path, status: response.status, contentType, body: parse(text) };
    // Every answer of every test is one that the description allows.
    const problems = findDescriptionProblems(seen);
    if (problems.length > 0)
      throw new Error(`The description does not allow this answer:\n${problems.join('\n')}\n${text}`);
    return { status: response.status, headers: response.headers, body: parse(text), text };
  };

  return {
    url,
    process,
    call,
    async signIn(username, password = 'password1234') {
      const { body } = await call('POST', '/authenticate', { body: { username, password } });
      const token = String(body.auth_token);
      return (method, path, input, headers = {}) =>
        call(method, path, { body: input, headers: { authorization: token, ...headers } });
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
