import type { ClaimedRun } from '../store/claimRuns.ts';

/** The whole environment of a command: none of the worker's own. */
export function commandEnvironment(run: ClaimedRun, host: { jobPath: string; home: string }): Record<string, string> {
  return {
    PATH: host.jobPath,
    HOME: host.home,
    LANG: 'C.UTF-8',
    TZ: run.timezone,
    BJR_JOB_ID: String(run.jobId),
    BJR_JOB_NAME: run.jobName,
    BJR_RUN_ID: String(run.runId),
    BJR_TRIGGER: run.trigger,
    BJR_ATTEMPT: String(run.attempt),
    BJR_SCHEDULED_AT: run.scheduledFor?.toISOString() ?? '',
  };
}
