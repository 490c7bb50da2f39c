import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { percentile } from './scenario.ts';

export interface Load {
  method: 'GET' | 'POST';
  url: string;
  token?: string;
  /** For the nth request. */
  body?(n: number): unknown;
  /** Requests under way at a time, each on a connection that is kept. */
  clients: number;
  count: number;
  /** Answers that are none of these are an error. */
  expected: number[];
}

export interface LoadResult {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Sends requests as fast as they are answered. Node's own client: fetch would cost more than some of the answers. */
export async function sendLoad(load: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.clients });
  const times: number[] = [];
  let sent = 0;
  const beganMs = performance.now();
  const client = async () => {
    while (sent < load.count) {
      const askedMs = performance.now();
      const status = await send(load, sent++, agent);
      if (!load.expected.includes(status)) throw new Error(`${load.method} ${load.url}: ${status}`);
      times.push(performance.now() - askedMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.clients }, client));
  } finally {
    agent.destroy();
  }
  const seconds = (performance.now() - beganMs) / 1000;
  return { requestsPerSecond: times.length / seconds, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
}

function send({ method, url, token, body }: Load, n: number, agent: Agent): Promise<number> {
  const text = body ? JSON.stringify(body(n)) : '';
  const headers = {
    ...(token && { authorization: token }),
    ...(body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  return new Promise((resolve, reject) => {
    const sending = request(url, { method, agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    sending.once('error', reject);
    sending.end(text);
  });
}
