import type { RunOutcome } from '../../src/store/recordOutcome.ts';
import type { ClaimedRun } from '../../src/store/writeClaim.ts';

/** What a worker would record of a claimed run whose command printed 'hi' and took 5 ms. */
export function succeeded(run: ClaimedRun, startedAt: Date): RunOutcome {
  const { runId, jobId, leaseToken, scheduledFor, attempt } = run;
  return {
    ...{ runId, jobId, leaseToken, scheduledFor, attempt, startedAt },
    outcome: 'succeeded',
    returnCode: 0,
    errorMessage: '',
    finishedAt: new Date(startedAt.getTime() + 5),
    output: {
      stdout: 'hi\n',
      stderr: '',
      stdoutBytes: 3,
      stderrBytes: 0,
      stdoutTruncated: false,
      stderrTruncated: false,
    },
  };
}
