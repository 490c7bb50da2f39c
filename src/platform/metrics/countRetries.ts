import { Counter, type Registry } from 'prom-client';
import type { Emit } from '../events.ts';

/** Transactions that the database asked to be run again. `codes`: all there are. */
export function countRetries(registry: Registry, codes: Iterable<string>): Emit {
  const retries = new Counter({
    name: 'bjr_transaction_retries_total',
    help: 'Transactions that were run again after a deadlock or a lock timeout.',
    labelNames: ['code'],
    registers: [registry],
  });
  for (const code of codes) retries.inc({ code }, 0);
  return (event) => {
    if (event.type === 'transaction_retried') retries.inc({ code: event.code });
  };
}
