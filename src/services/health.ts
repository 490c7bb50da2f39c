import type { WorkerRegistry } from '../redis/workers.ts';
import { type Database, readNowMs } from '../store/database.ts';

export interface HealthParts {
  db: Database;
  registry: WorkerRegistry;
}

export type Part = 'database' | 'redis' | 'workers';

/** Which parts are down: [] when the database and Redis answer and a worker is alive. */
export async function findPartsDown({ db, registry }: HealthParts): Promise<Part[]> {
  const [isDatabaseUp, workers] = await Promise.all([within(PATIENCE_MS, readNowMs(db)), registry.list()]);
  return [
    ...(isDatabaseUp ? [] : (['database'] as const)),
    ...(workers === null ? (['redis'] as const) : []),
    ...(workers?.length === 0 ? (['workers'] as const) : []),
  ];
}

const PATIENCE_MS = 3000;

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isDone = await Promise.race([
    work.then(
      () => true,
      () => false,
    ),
    late,
  ]);
  clearTimeout(timer);
  return isDone;
}
