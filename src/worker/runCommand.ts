import { setTimeout as delay } from 'node:timers/promises';
import { outcomeOf } from '../domain/outcome.ts';
import { resolveTimezone } from '../domain/timezone.ts';
import type { DatabaseClock } from '../platform/clock.ts';
import type { WorkerConfig } from '../platform/config.ts';
import type { Emit } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import type { Exit } from '../runner/protocol.ts';
import type { ClaimedRun } from '../store/claimRuns.ts';
import type { Database } from '../store/database.ts';
import { type RunOutcome, recordOutcome } from '../store/recordOutcome.ts';
import { commandEnvironment } from './commandEnvironment.ts';
import type { RunnerPool } from './runnerPool.ts';

export interface RunCommandParts {
  db: Database;
  pool: RunnerPool;
  clock: DatabaseClock;
  config: WorkerConfig;
  home: string;
  emit: Emit;
  log: Log;
}

/** Executes a claimed run and records how it ended. Returns when the job is due next, if that is near. Never rejects. */
export async function runCommand(run: ClaimedRun, parts: RunCommandParts): Promise<Date | null> {
  const { jobId, runId } = run;
  const exit = await parts.pool.execute(toRequest(run, parts), (pid) =>
    parts.emit({ type: 'run_started', jobId, runId, pid }),
  );
  return record(toOutcome(run, exit, parts.clock), parts);
}

function toRequest(run: ClaimedRun, { config, home }: RunCommandParts) {
  const timezone = resolveTimezone(run.timezone) ?? 'UTC';
  return {
    runId: run.runId,
    command: run.command,
    env: commandEnvironment({ ...run, timezone }, { jobPath: config.jobPath, home }),
    cwd: config.jobDirectory,
    outputBytesMax: config.outputBytesMax,
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
    outcome: outcomeOf(exit),
    returnCode: exit.exitCode,
    errorMessage: exit.errorMessage,
    startedAt,
    finishedAt: new Date(startedAt.getTime() + (exit.endedAtMs - exit.startedAtMs)),
    output: { stdout, stderr, stdoutBytes, stderrBytes, stdoutTruncated, stderrTruncated },
  };
}

const RETRY_MS_MAX = 5000;

/** Tries until the database has taken it or said that the lease is lost: an outage costs no outcome. */
async function record(outcome: RunOutcome, { db, emit, log }: RunCommandParts): Promise<Date | null> {
  const { jobId, runId, leaseToken } = outcome;
  for (let failures = 0; ; failures++) {
    try {
      const recorded = await recordOutcome(db, outcome);
      if (recorded.result === 'lost') {
        emit({ type: 'lease_lost', jobId, runId, leaseToken });
        return null;
      }
      const durationMs = outcome.finishedAt.getTime() - outcome.startedAt.getTime();
      emit({ type: 'run_recorded', jobId, runId, outcome: outcome.outcome, durationMs });
      const { misfire } = recorded;
      if (misfire) emit({ type: 'misfired', jobId, count: misfire.count, reason: misfire.reason });
      return recorded.dueAt;
    } catch (error) {
      log.error(
        { err: error, jobId, runId, failures },
        'The outcome could not be recorded yet; it will be tried again',
      );
      await delay(Math.min(100 * 2 ** failures, RETRY_MS_MAX));
    }
  }
}
