import { createHmac } from 'node:crypto';
import { PrivateTarget, publicLookup, requirePublicHost } from './callbackTarget.ts';

/** A callback as it goes out. */
export interface Callback {
  url: string;
  /** JSON. */
  body: string;
  /** The same for every try: the receiver may see one twice. */
  deliveryId: number;
  /** Signs the body; its user has it too. */
  secret: string;
  /** By the database's clock: receivers refuse a signature that is old, and this node's own clock may be wrong. */
  sentAt: Date;
}

/** How a try went: the receiver's status (null where there was no answer), and what was wrong ('': nothing). */
export interface Answer {
  status: number | null;
  error: string;
}

export interface CallbackSender {
  /** Never rejects. Anything but a 2xx within TIMEOUT_MS is an error. */
  send(callback: Callback): Promise<Answer>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
const REDIRECTS_MAX = 3;
/** Of what the receiver says: an error that did not fit its column could not be noted, and the try would be made for ever. */
const SHOWN_MAX = 200;
/** Of its answer only the status counts: the body is not read, whatever its size. */
const HEADER_BYTES_MAX = 16_384;

export function createCallbackSender({ hasPrivateTargets }: { hasPrivateTargets: boolean }): CallbackSender {
  let client: ReturnType<typeof createClient> | undefined;

  const post = async (url: URL, callback: Callback, signal: AbortSignal) => {
    if (!hasPrivateTargets) requirePublicHost(url);
    client ??= createClient(hasPrivateTargets).catch((error: unknown) => {
      // No file may be free to open, say: the next callback tries again.
      client = undefined;
      throw error;
    });
    const { agent, request } = await client;
    const response = await request.raw(withoutCredentials(url), {
      method: 'POST',
      body: callback.body,
      headers: { ...headersOf(callback), ...authorizationOf(url) },
      redirect: 'manual',
      responseType: 'stream',
      retry: false,
      ignoreResponseError: true,
      signal,
      dispatcher: agent,
    });
    await response.body?.cancel();
    return response;
  };

  return {
    async send(callback) {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      try {
        let url = new URL(callback.url);
        for (let redirects = 0; ; redirects++) {
          const { status, headers } = await post(url, callback, signal);
          if (status >= 200 && status < 300) return { status, error: '' };
          const location = headers.get('location');
          if (status < 300 || status > 399 || !location) return { status, error: `It answered ${status}` };
          const next = new URL(location, url);
          if (next.origin !== url.origin)
            return { status, error: `It redirects to another host: ${next.origin.slice(0, SHOWN_MAX)}` };
          if (redirects === REDIRECTS_MAX) return { status, error: `It redirects more than ${REDIRECTS_MAX} times` };
          url = next;
        }
      } catch (error) {
        return { status: null, error: explain(error) };
      }
    },
    close: async () => {
      const made = await client?.catch(() => undefined);
      await made?.agent.destroy();
    },
  };
}

/** Loaded with the first callback, which many workers never send: 4 MB. */
async function createClient(hasPrivateTargets: boolean) {
  const [{ createFetch }, { Agent, fetch, Headers }] = await Promise.all([import('ofetch'), import('undici')]);
  const connect = { timeout: TIMEOUT_MS, ...(!hasPrivateTargets && { lookup: publicLookup }) };
  const agent = new Agent({ connect, maxHeaderSize: HEADER_BYTES_MAX, pipelining: 0 });
  return { agent, request: createFetch({ fetch: fetch as unknown as typeof globalThis.fetch, Headers }) };
}

function headersOf({ body, deliveryId, secret, sentAt }: Callback): Record<string, string> {
  const timestamp = Math.floor(sentAt.getTime() / 1000);
  return {
    'content-type': 'application/json',
    'user-agent': 'BJR',
    'x-bjr-delivery': String(deliveryId),
    'x-bjr-signature': `t=${timestamp},v1=${sign(secret, timestamp, body)}`,
  };
}

/** HMAC-SHA256 over `TIMESTAMP.BODY`, in hexadecimal digits. */
const sign = (secret: string, timestamp: number, body: string) =>
  createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');

/** fetch refuses a URL that carries a user and a password; they go into the header that they stand for. */
function authorizationOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function withoutCredentials(url: URL): string {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain.href;
}

/** In words that its user may read: of what the network said only the code, and nothing of the URL. */
function explain(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof PrivateTarget) return cause.message;
    if (cause.name === 'TimeoutError') return `No answer within ${TIMEOUT_MS / 1000} s`;
    if ('code' in cause && typeof cause.code === 'string') return `No answer: ${cause.code}`;
  }
  return 'No answer';
}
