import assert from 'node:assert/strict';
import { awaitApi, type Client, signIn } from './client.ts';
import { METADATA_ADDRESS, startCloud } from './cloud.ts';
import { bootMachine, giveUserData, type Machine } from './machine.ts';
import { say } from './say.ts';
import { settingsIn } from './settings.ts';
import { until } from './until.ts';

/** One machine with everything, told nothing at its start. */
export async function testAllInOne(): Promise<void> {
  // The address of the metadata answers: what cannot reach it is kept from it.
  await startCloud({});
  giveUserData('bjr', '#cloud-config\n');
  const machine = await bootMachine('bjr');
  try {
    await allInOne(machine);
  } catch (error) {
    console.error(await machine.inside('journalctl', '--no-pager', '--lines', '200', '--unit', 'bjr-*').catch(String));
    throw error;
  } finally {
    machine.kill();
  }
}

async function allInOne(machine: Machine): Promise<void> {
  await awaitApi();
  await machine.awaitActive('bjr-worker');
  const passwords = settingsIn(machine.readFile('etc/bjr/local.env'));
  const password = passwords.get('INITIAL_ADMIN_PASSWORD') ?? '';
  assert.match(password, /^[0-9a-f]{64}$/);
  const client = await signIn('admin', password);
  say('it made its passwords, its database and its account; admin signs in');

  const hello = await client.createJob('echo Hello at $BJR_SCHEDULED_AT', '* * * * *');
  const scheduled = await client.awaitRun(hello);
  assert.match(scheduled.stdout, /^Hello at .*:00.000Z\n$/);
  await client.startNow(hello);
  await client.awaitRun(hello, (run) => run.is_manual && run.success);
  say('the walkthrough: a run at the full minute, one by hand');

  await commandsAreConfined(client);
  await workerComesBack(machine, client);
  await stopDrains(machine, client);

  assert.match(await machine.inside('bjr', 'migrate'), /The database is up to date/);
  say('bjr migrate by hand, with the settings of the services');

  await machine.powerOff();
  const again = await bootMachine('bjr');
  try {
    await awaitApi();
    const later = await signIn('admin', password);
    assert.ok((await later.ask('GET', `/job_api/${hello}`)).id === hello);
    say('after a restart of the machine passwords and jobs are the same');
    await again.powerOff();
  } finally {
    again.kill();
  }
}

async function commandsAreConfined({ runCommand }: Client): Promise<void> {
  const output = async (command: string) => (await runCommand(command)).stdout.trim();
  assert.equal(await output('id -un; pwd'), 'bjrjobs\n/var/lib/bjrjobs');
  assert.equal(await output('touch ~/a /tmp/a /var/tmp/a && curl -s http://127.0.0.1:4000/version | head -c1'), '{');
  say('a command runs as bjrjobs, writes where it may, reaches the network');

  assert.equal(await output("grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"), await rightsOfNobody(output));
  for (const path of ['/etc/bjr/bjr.env', '/etc/bjr/local.env', '/run/bjr/secrets.env', '/var/lib/bjr/spool'])
    assert.equal(await output(`cat ${path} 2>/dev/null || ls ${path} 2>/dev/null || echo closed`), 'closed');
  for (const path of ['/etc/x', '/usr/x', '/opt/bjr/x', '/var/lib/x', '/run/x'])
    assert.equal(await output(`touch ${path} 2>/dev/null || echo refused`), 'refused', path);
  assert.equal(await output('mariadb -e "SELECT 1" 2>/dev/null || echo refused'), 'refused');
  assert.equal(
    await output(`curl -s -m 3 -X PUT http://${METADATA_ADDRESS}/latest/api/token || echo out of reach`),
    'out of reach',
  );
  assert.match(await output('exec 3<> /dev/tcp/127.0.0.1/6379; printf "PING\\r\\n" >&3; head -n 1 <&3'), /NOAUTH/);
  say('a command has no rights, reads no settings, writes nowhere else, has no database and no role');
}

async function rightsOfNobody(output: (command: string) => Promise<string>): Promise<string> {
  const bounded = await output("sed -n 's/^CapBnd:\\t//p' /proc/self/status");
  // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7.
  assert.equal(Number.parseInt(bounded, 16), 0b1110_1011);
  return `CapEff:\t0000000000000000\nCapBnd:\t${bounded}\nNoNewPrivs:\t1`;
}

async function workerComesBack(machine: Machine, { runCommand }: Client): Promise<void> {
  const killed = await machine.show('bjr-worker', 'MainPID');
  await machine.inside('kill', '-KILL', killed);
  await until('another worker', async () => !['0', killed].includes(await machine.show('bjr-worker', 'MainPID')));
  assert.equal((await runCommand('echo back')).stdout, 'back\n');
  say('a worker that was killed is started again');
}

async function stopDrains(machine: Machine, client: Client): Promise<void> {
  const job = await client.createJob('echo begun; sleep 8; echo finished');
  await client.startNow(job);
  await until('the command', async () => (await machine.inside('ps', '-eo', 'args')).includes('sleep 8'));
  await machine.inside('systemctl', 'stop', 'bjr-worker');
  const run = await client.awaitRun(job);
  assert.deepEqual([run.success, run.stdout], [true, 'begun\nfinished\n']);
  assert.equal(await machine.show('bjr-worker', 'Result'), 'success');
  await machine.inside('systemctl', 'start', 'bjr-worker');
  say('a stop of the service lets the command finish, and its outcome is recorded');
}
