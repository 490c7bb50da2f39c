import { StringDecoder } from 'node:string_decoder';
import type { BoundedOutput } from './boundedOutput.ts';
import { type FromRunner, monotonicMs, type OutputStream } from './protocol.ts';

/** What a command prints while it runs, for who follows it. */
export interface LiveOutputs {
  begin(runId: number, outputs: Partial<Record<OutputStream, BoundedOutput>>): void;
  /** Tells what is left, if anything was told before. */
  end(runId: number): void;
}

/** A command that is done by then is not followed: its output comes with its end, and nothing is paid for it here. */
const LIVE_AFTER_MS = 500;
const PERIOD_MS = 250;
/** Of each stream in a period: whoever prints more than 64 KiB a second is shown the newest. */
const BYTES_MAX = 16_384;

interface Live {
  runId: number;
  sinceMs: number;
  isTold: boolean;
  /** The last message has not left yet: the next one waits. */
  isBusy: boolean;
  streams: { stream: OutputStream; output: BoundedOutput; offset: number; decoder: StringDecoder }[];
}

export function createLiveOutputs(send: (message: FromRunner) => Promise<void>): LiveOutputs {
  const runs = new Map<number, Live>();
  let timer: NodeJS.Timeout | undefined;

  const tell = (live: Live) => {
    for (const part of live.streams) {
      const { chunk, start, end } = part.output.readSince(part.offset, BYTES_MAX);
      if (chunk.length === 0) continue;
      part.offset = end;
      live.isTold = true;
      live.isBusy = true;
      const text = part.decoder.write(chunk);
      const message = { type: 'output' as const, runId: live.runId, stream: part.stream, text, start, end };
      void send(message).then(() => {
        live.isBusy = false;
      });
    }
  };

  const tick = () => {
    const liveBeforeMs = monotonicMs() - LIVE_AFTER_MS;
    for (const live of runs.values()) if (live.sinceMs < liveBeforeMs && !live.isBusy) tell(live);
  };

  return {
    begin(runId, outputs) {
      const streams = (['stdout', 'stderr'] as const).flatMap((stream) => {
        const output = outputs[stream];
        return output ? [{ stream, output, offset: 0, decoder: new StringDecoder('utf8') }] : [];
      });
      runs.set(runId, { runId, sinceMs: monotonicMs(), isTold: false, isBusy: false, streams });
      timer ??= setInterval(tick, PERIOD_MS);
    },
    end(runId) {
      const live = runs.get(runId);
      if (live?.isTold) tell(live);
      runs.delete(runId);
      if (runs.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
