import { startThrowawayServers } from './servers.ts';

/** Servers for `vitest run` by itself; bin/test has started some already. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['BJR_TEST_DATABASE_PORT']) return undefined;
  const servers = await startThrowawayServers('mysql');
  Object.assign(process.env, servers.env);
  return servers.stop;
}
