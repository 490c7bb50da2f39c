import { Counter, Histogram, type Registry } from 'prom-client';
import type { Emit } from '../events.ts';

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** The API's requests by the pattern of their route: there are as many of those as routes. */
export function countRequests(registry: Registry): Emit {
  const registers = [registry];
  const requests = new Counter({
    name: 'bjr_http_requests_total',
    help: 'Requests that the API has answered.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'bjr_http_request_duration_seconds',
    help: 'Time until a request is answered; of an answer that is streamed, until it begins.',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  return (event) => {
    if (event.type !== 'request_answered') return;
    const { method, route, status, durationMs } = event;
    requests.inc({ method, route, status });
    durations.observe({ method, route }, durationMs / 1000);
  };
}
