import { type Config, ConfigError, loadConfig } from '../platform/config.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

type Env = Record<string, string | undefined>;

/** The settings, where they can be used at all; `part` is what runs with them, without it API and worker. */
export function readSettings(env: Env, part?: 'api' | 'worker'): { config: Config | null; findings: Finding[] } {
  try {
    const config = loadConfig(env, part);
    const what = `NODE_ENV is ${env['NODE_ENV'] || 'development'}`;
    return { config, findings: [ok('settings', `can be used; ${what}`), ...judge(config, env, part)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const mend = 'docs/configuration.md has all settings';
    return { config: null, findings: error.problems.map((problem) => failure('settings', problem, mend)) };
  }
}

function judge(config: Config, env: Env, part: 'api' | 'worker' | undefined): Finding[] {
  return [
    config.isProduction
      ? ok('production', 'unsafe settings are refused')
      : warning(
          'production',
          'well-known passwords and a secret that everybody knows are accepted',
          'NODE_ENV=production',
        ),
    ...(part === 'worker' ? [] : [judgeSecret(config, env)]),
    config.callbacks.hasPrivateTargets
      ? warning('callbacks', "every user's callbacks reach what a worker reaches", 'CALLBACK_PRIVATE_TARGETS=off')
      : ok('callbacks', 'to public addresses only'),
    config.scheduler.hasElection
      ? ok('election', 'on')
      : warning('election', 'every worker does the work of the leader', 'LEADER_ELECTION=on'),
  ];
}

/** Only the API signs tokens. */
function judgeSecret({ isProduction }: Config, env: Env): Finding {
  if (env['SECRET_KEY_BASE'] || isProduction) return ok('secret', 'SECRET_KEY_BASE is set');
  const mend = 'SECRET_KEY_BASE, from: openssl rand -hex 64';
  return warning('secret', 'tokens are signed with a secret that everybody knows', mend);
}
