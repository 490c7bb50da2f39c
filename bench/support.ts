import { rmSync } from 'node:fs';
import { seedFirstStart } from '../src/services/seed.ts';
import { createEnvironment, type TestEnvironment } from '../test/support/environment.ts';
import { startThrowawayServers } from '../test/support/servers.ts';

/** Servers and a seeded database of a measurement's own; the examples of the first start are switched off. */
export async function withEnvironment(work: (env: TestEnvironment) => Promise<void>): Promise<void> {
  const kind = process.argv.includes('--mariadb') ? 'mariadb' : 'mysql';
  const servers = await startThrowawayServers(kind);
  Object.assign(process.env, servers.env);
  try {
    const env = await createEnvironment({ LOG_LEVEL: 'info' });
    await seedFirstStart(env.db, env.config.seed);
    await env.query("UPDATE jobs SET enabled = 0, state = 'idle', due_at = NULL");
    await work(env);
    await env.close();
  } finally {
    await servers.stop();
  }
}

export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** One line of the table that a measurement prints, in milliseconds. */
export function printLine(what: string, values: number[]): void {
  const figures = [0.5, 0.99, 1].map((share) => percentile(values, share).toFixed(1).padStart(8));
  console.log(`${what.padEnd(58)} ${String(values.length).padStart(6)} ${figures.join(' ')}`);
}

export function printHead(): void {
  console.log(
    `\n${'milliseconds'.padEnd(58)} ${'n'.padStart(6)} ${['p50', 'p99', 'max'].map((name) => name.padStart(8)).join(' ')}`,
  );
}

export function numberOption(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
}

export const remove = (path: string) => rmSync(path, { recursive: true, force: true });
