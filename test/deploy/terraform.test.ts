import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { environment } from '../../src/platform/settings.ts';
import { findTerraform } from '../../tools/terraform/findTerraform.ts';

/** The quick part; `npm run terraform:check` does the rest. */

const FOLDER = fileURLToPath(new URL('../../terraform', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../.bjr/tools/terraform', import.meta.url));
/** Read by the image's scripts, or by nothing at all. */
const NOT_SETTINGS = ['AWS_REGION', 'BJR_SECRET_ID', 'BJR_SECRET_VERSION', 'BJR_LIFECYCLE_HOOK'];

const terraform = findTerraform(TOOLS, { isNewest: false });
if (!terraform && process.env['CI'] === 'true') throw new Error('No Terraform here and none to be fetched');

const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8');
const blocksOf = (text: string, kind: string) =>
  [...text.matchAll(new RegExp(`^${kind} "(\\w+)" \\{$([\\s\\S]*?)^\\}$`, 'gm'))].map(([, name = '', body = '']) => ({
    name,
    body,
  }));

describe('terraform/', () => {
  test.skipIf(!terraform)('parses, and is formatted', () => {
    const { status, stdout, stderr } = spawnSync(terraform ?? '', ['fmt', '-check', '-recursive', '-diff'], {
      cwd: FOLDER,
      encoding: 'utf8',
    });
    expect(status, `${stdout}${stderr}`).toBe(0);
  });

  test.each(['variables.tf', 'secrets/main.tf'])('%s: every variable has a type and says what it is', (file) => {
    const variables = blocksOf(read(file), 'variable');
    expect(variables.length).toBeGreaterThan(4);
    const isWhole = (body: string) => /^ {2}type +=/m.test(body) && /^ {2}description += ".+\."$/m.test(body);
    expect(variables.filter(({ body }) => !isWhole(body)).map(({ name }) => name)).toEqual([]);
  });

  test('every variable without a default is in the example, and the example has no other', () => {
    const variables = blocksOf(read('variables.tf'), 'variable');
    const given = [...read('terraform.tfvars.example').matchAll(/^(\w+) +=/gm)].map(([, name]) => name);
    const required = variables.filter(({ body }) => !/^ {2}default +=/m.test(body)).map(({ name }) => name);
    expect(given).toEqual(expect.arrayContaining(required));
    expect(variables.map(({ name }) => name)).toEqual(expect.arrayContaining(given));
  });

  test('instances are told settings that BJR has', () => {
    const told = [...read('instances.tf').matchAll(/^ +([A-Z][A-Z0-9_]+) +=/gm)].map(([, name = '']) => name);
    expect(told).toContain('BJR_DATABASE_HOST');
    const known = [...Object.keys(environment.shape), ...NOT_SETTINGS];
    expect(told.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('what is secret reaches the database, Redis and the secret, and nothing else', () => {
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.tf') && name !== 'secrets.tf');
    const uses = files.flatMap((name) => [...read(name).matchAll(/^.*(?:local|module)\S*\.\w+_password.*$/gm)].flat());
    expect(uses.map((line) => line.trim().replaceAll(/ +/g, ' ')).toSorted()).toEqual([
      'auth_token_wo = local.redis_password',
      'password_wo = local.database_password',
    ]);
    const members = [...read('secrets/main.tf').matchAll(/^ {4}([A-Z_]+) +=/gm)].map(([, name = '']) => name);
    expect(Object.keys(environment.shape)).toEqual(expect.arrayContaining(members));
    expect(members).toContain('SECRET_KEY_BASE');
  });

  test.skipIf(!terraform || userInfo().uid !== 0)(
    'the user data, run in a root of its own, writes what it was given',
    () => {
      const env = { ...process.env, TERRAFORM: terraform ?? '' };
      const said = execFileSync(join(FOLDER, 'test/user-data.sh'), { env, encoding: 'utf8' });
      expect(said).toContain('as given');
    },
  );
});
