import { randomUUID } from 'node:crypto';
import { RUN_TOKEN } from '../runner/protocol.ts';
import type { ClaimedRun } from '../store/claimRuns.ts';
import type { JobUser } from './jobUser.ts';

/** The whole environment of a command: the job's own variables, and none of the worker's. */
export function commandEnvironment(run: ClaimedRun, jobPath: string, { home, name }: JobUser): Record<string, string> {
  return {
    PATH: jobPath,
    HOME: home,
    ...(name !== undefined && { USER: name, LOGNAME: name }),
    LANG: 'C.UTF-8',
    TZ: run.timezone,
    ...run.env,
    BJR_JOB_ID: String(run.jobId),
    BJR_JOB_NAME: run.jobName,
    BJR_RUN_ID: String(run.runId),
    BJR_TRIGGER: run.trigger,
    BJR_ATTEMPT: String(run.attempt),
    BJR_SCHEDULED_AT: run.scheduledFor?.toISOString() ?? '',
    [RUN_TOKEN]: randomUUID(),
  };
}
