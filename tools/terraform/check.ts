import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findTerraform } from './findTerraform.ts';
import { readSchema, type Used } from './schema.ts';

const HELP = `npm run terraform:check [-- --real]: everything about terraform/ that needs no AWS account.

  --real       with the AWS provider itself, from Terraform's registry: formatted, valid, and the tests with mocks
  --newest     with the newest Terraform that PyPI has, instead of this machine's own

Without --real a stand-in with the provider's schema takes its place (terraform/test/standin; it needs Go), and then all of
it is also planned, applied, planned again, changed and destroyed, in a cloud that is a folder.`;

const FOLDER = fileURLToPath(new URL('../../terraform', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../.bjr/tools/terraform', import.meta.url));

type Run = (...args: string[]) => string;

function main(): void {
  const { values } = parseArgs({
    options: { real: { type: 'boolean' }, newest: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const terraform = findTerraform(TOOLS, { isNewest: values.newest ?? false });
  if (!terraform) throw new Error('There is no Terraform here, and none to be fetched');
  const work = mkdtempSync(join(tmpdir(), 'bjr-terraform-'));
  try {
    cpSync(FOLDER, join(work, 'terraform'), { recursive: true, filter: (path) => !/\/(\.terraform|test)$/.test(path) });
    const env: NodeJS.ProcessEnv = { ...process.env, TF_IN_AUTOMATION: '1', BJR_STANDIN_CLOUD: join(work, 'cloud') };
    if (!values.real) env['TF_CLI_CONFIG_FILE'] = placeStandin(work);
    const run: Run = (...args) => {
      console.log(`terraform ${args.join(' ')}`);
      const { status, stdout, stderr } = spawnSync(terraform, [...args, '-no-color'], {
        cwd: join(work, 'terraform'),
        env,
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`terraform ${args.join(' ')}: exit code ${status}\n${stdout}${stderr}`);
      return stdout;
    };
    console.log(run('version').split('\n', 1)[0]);
    run('fmt', '-check', '-recursive');
    run('init', '-backend=false', '-input=false');
    run('validate');
    console.log(/^(Success|Failure)!.*$/m.exec(run('test'))?.[0]);
    if (!values.real) tryLife(run, work);
    execFileSync(join(FOLDER, 'test/user-data.sh'), { stdio: 'inherit', env: { ...env, TERRAFORM: terraform } });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Builds the stand-in where a mirror of the registry would have the provider. Returns Terraform's own settings, which name that. */
function placeStandin(work: string): string {
  const source = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.tf'))
    .map((name) => readFileSync(join(FOLDER, name), 'utf8'));
  const used = source.flatMap((text) =>
    [...text.matchAll(/^(resource|data|ephemeral) "(aws_\w+)"/gm)].map(
      ([, mode, type]): Used => ({ mode: mode as Used['mode'], type: type ?? '' }),
    ),
  );
  const schema = readSchema(used, TOOLS);
  const platform = `linux_${arch() === 'x64' ? 'amd64' : arch()}`;
  const folder = join(work, 'mirror/registry.terraform.io/hashicorp/aws', schema.version, platform);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(schema));
  const count = new Set(used.map(({ mode, type }) => `${mode} ${type}`)).size;
  console.log(`The schema of AWS provider ${schema.version}: ${count} types that are used. Building the stand-in …`);
  const program = join(folder, `terraform-provider-aws_v${schema.version}`);
  execFileSync('go', ['build', '-o', program, '.'], { cwd: join(FOLDER, 'test/standin'), stdio: 'inherit' });
  mkdirSync(join(work, 'cloud'));
  const settings = join(work, 'terraform.rc');
  writeFileSync(
    settings,
    `provider_installation {\n  filesystem_mirror {\n    path = "${join(work, 'mirror')}"\n  }\n}\n`,
  );
  return settings;
}

/** From nothing to running, to a new version, to new secrets, to nothing, with settings as the example has them. */
function tryLife(run: Run, work: string): void {
  const folder = join(work, 'terraform');
  cpSync(join(folder, 'terraform.tfvars.example'), join(folder, 'terraform.tfvars'));
  writeFileSync(join(folder, 'backend_override.tf'), 'terraform {\n  backend "local" {}\n}\n');
  run('init', '-reconfigure', '-input=false');
  // As if it had been cut off after the secret: the next apply must take the passwords that are in there.
  run('apply', '-auto-approve', '-input=false', '-target=module.secrets');
  run('apply', '-auto-approve', '-input=false');
  const first = passwordsOf(work);
  checkSecrets(work, first);
  assert.match(run('plan', '-detailed-exitcode'), /No changes/, 'a second plan finds something to change');

  const upgrade = run('apply', '-auto-approve', '-var=bjr_version=0.2.0');
  assert.match(
    upgrade,
    /0 added, 4 changed, 0 destroyed/,
    'a new version changes something else than templates and groups',
  );

  run('apply', '-auto-approve', '-var=bjr_version=0.2.0', '-var=secrets_version=2');
  const second = passwordsOf(work);
  assert.notEqual(second.database, first.database, 'a new generation of secrets has the old password');
  checkSecrets(work, second);

  run('destroy', '-auto-approve', '-var=deletion_protection=false');
  assert.equal(JSON.parse(readFileSync(join(folder, 'terraform.tfstate'), 'utf8')).resources.length, 0);
  console.log('Applied, applied again, changed and destroyed; the passwords are the same everywhere, and in no state');
}

/** What the stand-in was given for an object of a type; the newest, where it was written more than once. */
function given(work: string, type: string): Record<string, string>[] {
  const cloud = join(work, 'cloud');
  const names = readdirSync(cloud).filter((name) => name.startsWith(`${type}.`));
  return names.map((name) => JSON.parse(readFileSync(join(cloud, name), 'utf8')));
}

function passwordsOf(work: string): { database: string; redis: string } {
  const [database] = given(work, 'aws_db_instance');
  const [redis] = given(work, 'aws_elasticache_replication_group');
  return { database: database?.['password_wo'] ?? '', redis: redis?.['auth_token_wo'] ?? '' };
}

function checkSecrets(work: string, { database, redis }: { database: string; redis: string }): void {
  const secrets = given(work, 'aws_secretsmanager_secret_version').map((version) =>
    JSON.parse(version['secret_string_wo'] ?? '{}'),
  );
  const secret = secrets.find((members) => members.BJR_DATABASE_PASSWORD === database);
  assert.ok(secret, 'the database has another password than the secret');
  assert.equal(secret.REDIS_PASSWORD, redis, 'Redis has another password than the secret');
  assert.deepEqual(Object.keys(secret).toSorted(), [
    'BJR_DATABASE_PASSWORD',
    'BJR_DATABASE_USERNAME',
    'INITIAL_ADMIN_PASSWORD',
    'INITIAL_ROOT_PASSWORD',
    'REDIS_PASSWORD',
    'SECRET_KEY_BASE',
  ]);
  // What the stand-in makes up as a password begins so.
  for (const name of ['SECRET_KEY_BASE', 'INITIAL_ROOT_PASSWORD']) assert.match(secret[name], /^standin-secret-/);
  for (const name of readdirSync(join(work, 'terraform')).filter((file) => file.includes('tfstate'))) {
    const state = readFileSync(join(work, 'terraform', name), 'utf8');
    assert.ok(!state.includes('standin-secret-'), `a secret is in ${name}`);
  }
  for (const template of given(work, 'aws_launch_template')) {
    const userData = Buffer.from(template['user_data'] ?? '', 'base64').toString();
    assert.ok(
      userData.includes('\nBJR_SECRET_ID=arn:') && !userData.includes('standin-secret-'),
      'a secret is in user data',
    );
  }
}

main();
