/** How a run ended. A run has exactly one. */
export const OUTCOMES = ['succeeded', 'failed', 'timed_out', 'canceled', 'lost'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why the worker ended a command before it had finished by itself. */
export type KillReason = 'canceled' | 'drained' | 'lease_lost' | 'timed_out';

/** What became of a command, in the terms of a run: pure, no exception stands for a failing command. */
export function outcomeOf(exit: { exitCode: number; killReason: KillReason | null }): Outcome {
  switch (exit.killReason) {
    case 'timed_out':
      return 'timed_out';
    case 'canceled':
      return 'canceled';
    case 'lease_lost':
      return 'lost';
    case 'drained':
      return 'failed';
    case null:
      return exit.exitCode === 0 ? 'succeeded' : 'failed';
  }
}
