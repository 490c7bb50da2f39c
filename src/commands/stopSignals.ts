/**
 * Resolves at the first TERM, INT or HUP; a second one calls `onSecond`. A parent that started this process with a channel
 * (`bin/dev`, an API supervisor) and is gone counts as a signal too: its parts do not outlive it.
 */
export function onStopSignals({ onSecond }: { onSecond: () => void }): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const hear = (signal: NodeJS.Signals) => {
      if (isStopping) onSecond();
      isStopping = true;
      resolve(signal);
    };
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, hear);
    process.once('disconnect', () => hear('SIGTERM'));
  });
}
