/** Resolves at the first TERM or INT; a second one calls `onSecond`. */
export function onStopSignals({ onSecond }: { onSecond: () => void }): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const hear = (signal: NodeJS.Signals) => {
      if (isStopping) onSecond();
      isStopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', hear);
    process.on('SIGINT', hear);
  });
}
