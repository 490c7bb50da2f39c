import { createServer, type ServerResponse } from 'node:http';
import type { MetricsConfig } from '../config.ts';
import type { Log } from '../log.ts';

export interface ProbeParts {
  config: MetricsConfig;
  /** Everything that Prometheus is told. */
  render(): Promise<string>;
  /** Whether this process does its work: what has just started, or is about to end, does not. */
  isReady(): boolean | Promise<boolean>;
  log: Log;
}

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const REQUEST_MS = 10_000;
const CONNECTIONS_MAX = 50;

/**
 * /metrics, /livez and /readyz on an address of their own: they are for whoever runs BJR, and not for whoever uses it.
 * They end with the process: a drain is watched to its end. A port that is taken is said, and costs no run: there may be another worker on this machine.
 */
export async function serveProbes({ config, render, isReady, log }: ProbeParts): Promise<void> {
  const { host, port } = config;
  if (port === 0) return;
  const server = createServer({ headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS }, (request, response) => {
    answer(request.url ?? '', { render, isReady, response }).catch((error: unknown) => {
      log.error({ err: error, path: request.url }, 'A probe failed');
      end(response, 500, 'error\n');
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const isOpen = await new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true));
    server.once('error', (error) => {
      log.warn({ err: error, host, port }, 'No metrics and no probes here: set METRICS_PORT to another, or to 0');
      resolve(false);
    });
    server.listen(port, host);
  });
  if (isOpen) log.info({ host, port }, 'Metrics and probes are served');
}

async function answer(
  url: string,
  { render, isReady, response }: Pick<ProbeParts, 'render' | 'isReady'> & { response: ServerResponse },
): Promise<void> {
  switch (url.replace(/\?.*$/, '')) {
    case '/metrics':
      return end(response.setHeader('Content-Type', CONTENT_TYPE), 200, await render());
    case '/livez':
      // Whether database and Redis answer is no matter here: a worker that waits for them must not be killed.
      return end(response, 200, 'alive\n');
    case '/readyz':
      return (await isReady()) ? end(response, 200, 'ready\n') : end(response, 503, 'not ready\n');
    default:
      return end(response, 404, 'There is /metrics, /livez and /readyz.\n');
  }
}

function end(response: ServerResponse, status: number, body: string): void {
  if (!response.headersSent) response.statusCode = status;
  response.end(body);
}
