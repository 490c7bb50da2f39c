import { checkDatabase } from '../doctor/database.ts';
import { type Finding, toLine } from '../doctor/finding.ts';
import { checkMachine } from '../doctor/machine.ts';
import { checkRedis } from '../doctor/redis.ts';
import { readSettings } from '../doctor/settings.ts';
import type { Config } from '../platform/config.ts';
import { createLog } from '../platform/log.ts';
import { connectRedis } from '../redis/connection.ts';
import { createDatabase } from '../store/database.ts';

/** Says of everything that BJR needs whether it is there, a line each. 1: something is not; 2: that is no part of it. */
export async function runDoctor([part]: string[], env: Record<string, string | undefined>): Promise<number> {
  if (part !== undefined && part !== 'api' && part !== 'worker') {
    console.error(`bjr doctor, bjr doctor api or bjr doctor worker: there is no '${part}'.`);
    return 2;
  }
  const { config, findings } = readSettings(env, part);
  say(findings);
  if (!config) return 1;
  const isWorker = part !== 'api';
  const all = [...findings];
  for (const check of [() => askDatabase(config), () => askRedis(config), ...(isWorker ? [() => ask(config)] : [])]) {
    const found = await check();
    say(found);
    all.push(...found);
  }
  const count = (level: Finding['level']) => all.filter((finding) => finding.level === level).length;
  console.log(`\n${count('failure')} failures, ${count('warning')} warnings`);
  return count('failure') > 0 ? 1 : 0;
}

function say(findings: Finding[]): void {
  for (const finding of findings) console.log(toLine(finding));
}

async function askDatabase(config: Config): Promise<Finding[]> {
  const db = createDatabase({ ...config.database, connectionsMax: 1 });
  try {
    return await checkDatabase({
      db,
      config: config.database,
      connections: config.database.connectionsMax * config.api.processes,
      outputBytesMax: config.worker.outputBytesMax,
      wallClock: Date.now,
    });
  } finally {
    await db.close();
  }
}

async function askRedis(config: Config): Promise<Finding[]> {
  const redis = connectRedis(config.redis, createLog({ level: 'silent', format: 'json' }));
  try {
    return await checkRedis({ redis, config: config.redis, wallClock: Date.now });
  } finally {
    redis.disconnect();
  }
}

const ask = async (config: Config) => checkMachine(config.worker, config.isProduction);
