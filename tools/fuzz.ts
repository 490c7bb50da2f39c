import { parseArgs } from 'node:util';
import { createEnvironment } from '../test/support/environment.ts';
import { findSchemathesis, fuzz } from '../test/support/schemathesis.ts';
import { startThrowawayServers } from '../test/support/servers.ts';

const HELP = `npm run fuzz [-- OPTIONS]: schemathesis over the whole API, with all its checks, as a user and as root.

  --seconds N        for each of the two (300)
  --seed N           of its random choices (a new one each time)
  --user NAME        only admin, or only root
  --database KIND    mysql or mariadb (mysql)

It starts servers and an API of its own, and no worker: what it writes into a job's command is never run.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '300' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
      user: { type: 'string' },
      database: { type: 'string', default: 'mysql' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const program = findSchemathesis();
  if (!program) return 1;
  const servers = await startThrowawayServers(values.database === 'mariadb' ? 'mariadb' : 'mysql');
  Object.assign(process.env, servers.env);
  const exitCodes: number[] = [];
  try {
    for (const username of values.user ? [values.user] : ['admin', 'root']) {
      console.log(`As ${username}, for ${values.seconds} s, with seed ${values.seed} …`);
      const env = await createEnvironment();
      const args = ['--max-time', values.seconds, '--seed', values.seed, '--generation-database', 'none'];
      const { exitCode, report } = await fuzz(env, { username, args, program });
      await env.close();
      console.log(report);
      exitCodes.push(exitCode);
    }
  } finally {
    await servers.stop();
  }
  return Math.max(...exitCodes);
}

process.exitCode = await main();
