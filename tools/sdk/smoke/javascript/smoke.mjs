// What a program does with the generated client: the steps are the same in every language here.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import * as bjr from './sdk/dist/esm/index.js';

const basePath = process.env.BJR_URL;
const signedIn = await new bjr.AuthenticationApi(new bjr.Configuration({ basePath })).authenticateUser({
  authIn: { username: 'admin', password: 'password1234' },
});
assert(!signedIn.isError && signedIn.userId);
const configuration = new bjr.Configuration({ basePath, accessToken: signedIn.authToken, apiKey: signedIn.authToken });
const jobs = new bjr.JobsApi(configuration);
console.log('  signed in');

const jobIn = {
  name: 'from javascript',
  command: 'echo hi; echo oops >&2',
  cron: '0 3 * * *',
  timezone: 'UTC',
  tags: 'sdk,javascript',
};
const { object: job } = await jobs.createJob({ jobIn });
assert(job.id > 0 && job.enabled && job.createdAt instanceof Date && job.avgRunDuration === null);
assert.deepEqual(job.tags, ['javascript', 'sdk']);
assert.equal((await jobs.getJobs({ expression: 'tag:javascript' })).object.length, 1);
assert.equal((await jobs.patchJob({ id: job.id, jobPatchIn: { enabled: false } })).object.enabled, false);
assert.equal((await jobs.getJob({ id: job.id })).object.cron, '0 3 * * *');
console.log('  created, listed, changed and read a job');

assert(!(await jobs.runJobNow({ id: job.id })).isError);
let run;
for (let tries = 0; !run && tries < 200; tries++) {
  await delay(100);
  run = (await jobs.getJobRuns({ id: job.id })).object.find(({ returnCode }) => returnCode !== null);
}
assert(run?.success && run.returnCode === 0 && run.stdout === 'hi\n' && run.stderr === 'oops\n');
assert.equal((await new bjr.JobRunsApi(configuration).getJobRun({ id: run.id })).object.id, run.id);
console.log('  ran it and read its run');

const folders = new bjr.FoldersApi(configuration);
const { object: folder } = await folders.createFolder({ name: 'javascript', expression: 'tag:javascript' });
assert.equal(folder.jobCount, 1);
assert.equal((await folders.getFolderJobs({ id: folder.id })).object.length, 1);
await folders.deleteFolder({ id: folder.id });
const fixed = new bjr.StaticApi(configuration);
assert((await fixed.getTags()).object.some(({ name }) => name === 'javascript'));
assert((await fixed.getTimezones()).object);
const server = new bjr.JobServerApi(configuration);
assert((await server.recentJobs()).object.length > 0 && (await server.upcomingJobs()).object);
assert((await server.statsByMinute()).object && !(await server.getBusyThreadCount()).isError);
console.log('  read folders, tags, time zones and statistics');

const refused = async (status, answer) => {
  const error = await answer.then(
    () => assert.fail('it was not refused'),
    (reason) => reason,
  );
  assert.equal(error.response.status, status);
  assert((await error.response.json()).is_error);
};
await refused(404, jobs.getJob({ id: 999_999 }));
await refused(422, jobs.createJob({ jobIn }));
assert.equal((await jobs.deleteJob({ id: job.id })).object.id, job.id);
console.log('  understood refusals, deleted the job');
