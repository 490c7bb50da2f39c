import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { startThrowawayServers } from '../../test/support/servers.ts';
import { awaitApi, signIn } from './client.ts';
import { type Cloud, startCloud } from './cloud.ts';
import { bootMachine, giveUserData, type Machine } from './machine.ts';
import { say } from './say.ts';
import { until } from './until.ts';

/** A machine of the API and one of a worker, with database and Redis elsewhere, told by user data and a secret. */
export async function testFleet(): Promise<void> {
  const servers = await startThrowawayServers('mysql');
  const { env } = servers;
  const secret = {
    SECRET_KEY_BASE: `what systemd and shells might misread: "quotes" 'and' $dollars \`ticks\` \\ ${randomBytes(16).toString('hex')}`,
    BJR_DATABASE_USERNAME: env['BJR_TEST_DATABASE_USERNAME'] ?? '',
    BJR_DATABASE_PASSWORD: env['BJR_TEST_DATABASE_PASSWORD'] ?? '',
    INITIAL_ROOT_PASSWORD: randomBytes(16).toString('hex'),
    INITIAL_ADMIN_PASSWORD: randomBytes(16).toString('hex'),
  };
  const cloud = await startCloud(secret);
  const instance = `BJR_SECRET_ID=bjr
AWS_REGION=eu-central-1
AWS_ENDPOINT_URL=${cloud.endpoint}
BJR_DATABASE_HOST=127.0.0.1
BJR_DATABASE_PORT=${env['BJR_TEST_DATABASE_PORT']}
REDIS_HOST=127.0.0.1
REDIS_PORT=${env['BJR_TEST_REDIS_PORT']}
`;
  const machines: Machine[] = [];
  try {
    giveUserData('bjr-api', asScript(instance));
    giveUserData('bjr-worker', asCloudConfig(instance));
    const api = await bootMachine('bjr-api');
    machines.push(api);
    const worker = await bootMachine('bjr-worker');
    machines.push(worker);
    await fleet({ api, worker, cloud, secret });
    for (const machine of machines) await machine.powerOff();
  } catch (error) {
    for (const machine of machines)
      console.error(await machine.inside('journalctl', '--no-pager', '--lines', '100').catch(String));
    throw error;
  } finally {
    for (const machine of machines) machine.kill();
    await servers.stop();
  }
}

const asScript = (settings: string) => `#!/bin/bash
umask 027
cat > /etc/bjr/instance.env.new <<'SETTINGS'
${settings}SETTINGS
chown root:bjr /etc/bjr/instance.env.new
mv /etc/bjr/instance.env.new /etc/bjr/instance.env
`;

const asCloudConfig = (settings: string) => `#cloud-config
write_files:
  - path: /etc/bjr/instance.env
    owner: root:bjr
    permissions: '0640'
    content: |
${settings.replaceAll(/^(?=.)/gm, '      ')}`;

interface Fleet {
  api: Machine;
  worker: Machine;
  cloud: Cloud;
  secret: Record<string, string>;
}

async function fleet({ api, worker, cloud, secret }: Fleet): Promise<void> {
  await awaitApi();
  const environment = await api.environmentOf('bjr-api');
  const isInitial = (name: string) => name.startsWith('INITIAL_');
  for (const [name, value] of Object.entries(secret))
    assert.equal(environment.get(name), isInitial(name) ? undefined : value);
  say('user data names the secret, the role reads it, the API has it letter by letter');

  await worker.awaitActive('bjr-worker');
  const ofWorker = await worker.environmentOf('bjr-worker');
  assert.equal(ofWorker.get('BJR_DATABASE_PASSWORD'), secret['BJR_DATABASE_PASSWORD']);
  for (const name of ['SECRET_KEY_BASE', 'INITIAL_ROOT_PASSWORD', 'INITIAL_ADMIN_PASSWORD'])
    assert(!ofWorker.has(name));
  say('the worker has what it needs of the secret, and no more');
  const client = await signIn('admin', secret['INITIAL_ADMIN_PASSWORD'] ?? '');
  assert.equal((await client.runCommand('id -un')).stdout, 'bjrjobs\n');
  say('a worker on another machine runs a command');

  await worker.awaitActive('bjr-drain');
  const job = await client.createJob('sleep 8; echo finished');
  await client.startNow(job);
  await until('the command', async () => (await worker.inside('ps', '-eo', 'args')).includes('sleep 8'));
  cloud.metadata.set('autoscaling/target-lifecycle-state', 'Terminated');
  const completed = await until('the lifecycle action', () => cloud.completed[0]);
  const run = await client.awaitRun(job);
  assert.deepEqual([run.success, run.stdout], [true, 'finished\n']);
  assert.equal(completed.get('LifecycleHookName'), 'bjr-worker-drain');
  assert.equal(completed.get('AutoScalingGroupName'), 'bjr-workers');
  assert.equal(completed.get('InstanceId'), 'i-0123456789abcdef0');
  assert.equal(await worker.show('bjr-worker', 'ActiveState'), 'inactive');
  say('a worker whose instance is to end finishes its command first, then lets the group go on');

  await api.inside('systemctl', 'stop', 'bjr-api');
  assert.equal(await api.show('bjr-api', 'Result'), 'success');
  say('the API stops when it is told to');
}
