import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SMALL } from '../../src/commands/dev.ts';
import { findLinters } from '../support/deployTools.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');
const linters = await findLinters();

describe('the image', () => {
  test.skipIf(!linters)('has a Dockerfile that hadolint finds nothing in', () => {
    const { stdout, status } = spawnSync(linters?.hadolint ?? '', ['-'], { input: dockerfile, encoding: 'utf8' });
    expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
  });

  test('has the Node that package.json names', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${dependencies['node']}-trixie-slim`);
  });

  test('is made of what is named, and of nothing else in the folder', () => {
    const lines = read('.dockerignore').split('\n');
    const [first, ...rest] = lines.filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap(([, list = '']) =>
      list.split(' ').slice(0, -1),
    );
    const sources = copied
      .filter((word) => !word.startsWith('--'))
      .map((path) => path.replace(/(deploy\/docker).*/, '$1'));
    const admitted = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(new Set(admitted)).toEqual(new Set([...sources, 'tools', 'deploy']));
  });

  test('starts as nobody in particular, with its own process 1', () => {
    const last = (instruction: string) => dockerfile.match(new RegExp(`^${instruction} .*$`, 'gm'))?.at(-1);
    expect(last('USER')).toBe('USER 10001:10001');
    expect(last('ENTRYPOINT')).toBe('ENTRYPOINT ["tini", "--", "bjr"]');
  });

  test('starts what was built, as the machines do, and with the memory that is measured', () => {
    expect(read('deploy/docker/bjr')).toContain(`exec node ${SMALL} /opt/bjr/dist/main.js "$@"`);
    for (const name of ['api', 'worker'])
      expect(read(`packer/systemd/bjr-${name}.service`)).toContain(`/bin/node ${SMALL} dist/main.js ${name}\n`);
  });
});
