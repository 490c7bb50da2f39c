import { silenceMaxMs } from '../domain/lease.ts';
import { outcomeOf } from '../domain/outcome.ts';
import { resolveTimezone } from '../domain/timezone.ts';
import type { DatabaseClock } from '../platform/clock.ts';
import type { Exit } from '../runner/protocol.ts';
import type { ClaimedRun } from '../store/claimRuns.ts';
import type { RunOutcome } from '../store/recordOutcome.ts';
import { commandEnvironment } from './commandEnvironment.ts';
import type { WorkerParts } from './parts.ts';
import { type RecordParts, record } from './record.ts';

export type RunCommandParts = RecordParts &
  Pick<WorkerParts, 'pool' | 'liveOutput' | 'clock' | 'config' | 'jobUserOf'> & {
    /** The command has ended, took so long, and is not recorded yet. */
    onEnded(tookMs: number): void;
    /** It was not started after all. */
    giveBack(run: LeasedRun): Promise<void>;
  };

/** A claimed run, with when its lease was asked for and when its command is to start, by the monotonic clock. */
export type LeasedRun = ClaimedRun & { leasedAtMs: number; startAtMs: number };

/** What was claimed ahead and finds no slot or no runner by then is given back: another worker may have one. */
const UNSTARTED_MS_MAX = 1000;

/** Executes a claimed run and records how it ended. Returns when the job is due next, if that is near. Never rejects. */
export async function runCommand(run: LeasedRun, parts: RunCommandParts): Promise<Date | null> {
  const { jobId, runId } = run;
  const patience = setTimeout(parts.pool.withdraw, UNSTARTED_MS_MAX, runId);
  const exit = await parts.pool.execute(
    toRequest(run, parts),
    (pid) => {
      clearTimeout(patience);
      parts.emit({ type: 'run_started', jobId, runId, pid });
    },
    (part) => void parts.liveOutput.append(runId, part),
  );
  clearTimeout(patience);
  if (exit.isWithdrawn) {
    await parts.giveBack(run);
    return null;
  }
  parts.onEnded(exit.endedAtMs - exit.startedAtMs);
  if (exit.killReason === 'lease_lost') {
    parts.log.error({ jobId, runId }, 'The command was ended: its lease was lost, or could not be renewed in time');
  }
  return record(toOutcome(run, exit, parts.clock), parts);
}

function toRequest(run: LeasedRun, { config, jobUserOf }: RunCommandParts) {
  const timezone = resolveTimezone(run.timezone) ?? 'UTC';
  const { timeoutSeconds } = run;
  const user = jobUserOf(run.userId);
  return {
    runId: run.runId,
    startAtMs: run.startAtMs,
    // A worker that was frozen may hold a lease that has expired meanwhile.
    startBeforeMs: run.leasedAtMs + silenceMaxMs(config),
    command: run.command,
    env: commandEnvironment({ ...run, timezone }, config.jobPath, user),
    cwd: run.workingDirectory || config.jobDirectory || user.home,
    outputBytesMax: config.outputBytesMax,
    limits: config.jobLimits,
    ...(user.owner && { owner: user.owner }),
    ...(timeoutSeconds > 0 && { timeLimit: { timeoutMs: timeoutSeconds * 1000, graceMs: config.killGraceMs } }),
  };
}

/** The instants are the database's: the clock carries readings of the machine's monotonic clock over. */
function toOutcome(run: ClaimedRun, exit: Exit, clock: DatabaseClock): RunOutcome {
  const { stdout, stderr, stdoutBytes, stderrBytes, stdoutTruncated, stderrTruncated } = exit;
  const startedAt = clock.at(exit.startedAtMs);
  return {
    runId: run.runId,
    jobId: run.jobId,
    leaseToken: run.leaseToken,
    scheduledFor: run.scheduledFor,
    attempt: run.attempt,
    outcome: outcomeOf(exit),
    returnCode: exit.exitCode,
    errorMessage: exit.errorMessage,
    startedAt,
    finishedAt: new Date(startedAt.getTime() + (exit.endedAtMs - exit.startedAtMs)),
    output: { stdout, stderr, stdoutBytes, stderrBytes, stdoutTruncated, stderrTruncated },
  };
}
