import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { testAllInOne } from './allInOne.ts';
import { METADATA_ADDRESS } from './cloud.ts';
import { testFleet } from './fleet.ts';
import type { Role } from './machine.ts';

const HELP = `npm run images:test: makes the three images as folders, by the scripts that Packer runs, boots them with their own
systemd, and goes through the README's walkthrough. For root, on Debian or Ubuntu with debootstrap; it takes minutes.

  npm run images:test                  all of it
  npm run images:test -- bjr           the all-in-one machine only (or: fleet, the API's and the worker's)
  npm run images:test -- --keep        with the folders of the last time (.bjr/roots)`;

const TESTS: Record<string, { roles: Role[]; test: () => Promise<void> }> = {
  bjr: { roles: ['bjr'], test: testAllInOne },
  fleet: { roles: ['bjr-api', 'bjr-worker'], test: testFleet },
};

const { values, positionals } = parseArgs({
  options: { keep: { type: 'boolean' }, inside: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
});
const names = positionals.length > 0 ? positionals : Object.keys(TESTS);

if (values.help) console.log(HELP);
else if (process.getuid?.() !== 0) throw new Error('Only root can make and boot the images');
else if (values.inside) await testInside();
else makeAndTest();

function makeAndTest(): void {
  for (const name of names) {
    if (!values.keep) for (const role of chosen(name).roles) makeRoot(role);
    // A network of its own, with the address of EC2's metadata in it; each test in its own process.
    const again = [process.execPath, fileURLToPath(import.meta.url), '--inside', name];
    const { status } = spawnSync('unshare', ['--net', '--', ...again], { stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  }
}

async function testInside(): Promise<void> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  execFileSync('ip', ['address', 'add', `${METADATA_ADDRESS}/32`, 'dev', 'lo']);
  for (const name of names) {
    console.log(`== ${name}`);
    await chosen(name).test();
  }
  // The cloud's servers go with the process.
  process.exit(0);
}

function chosen(name: string) {
  const test = TESTS[name];
  if (!test) throw new Error(`There is no test '${name}': ${Object.keys(TESTS).join(', ')}`);
  return test;
}

function makeRoot(role: Role): void {
  console.log(`== making ${role}`);
  execFileSync(fileURLToPath(new URL('makeRoot.sh', import.meta.url)), [role], { stdio: 'inherit' });
}
