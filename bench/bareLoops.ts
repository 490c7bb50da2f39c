import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { adopt } from './leave.ts';
import { processorMs } from './processorTime.ts';

export interface Loops {
  /** How a command is started. */
  how: 'execa' | 'spawn';
  processes: number;
  /** All processes together. */
  commands: number;
  concurrency: number;
}

const LOOP = fileURLToPath(new URL('bareLoop.mjs', import.meta.url));
const PATH = process.env['PATH'] ?? '';

export interface LoopsFound {
  /** Commands a second. */
  rate: number;
  /** Processor time a command, of the loops and of the commands. */
  processorMs: number;
}

/** By lean processes that do nothing but start them, from the moment when all of them are ready. */
export async function runLoops({ how, processes, commands, concurrency }: Loops): Promise<LoopsFound> {
  const args = [how, Math.ceil(commands / processes), Math.ceil(concurrency / processes)].map(String);
  const loops = Array.from({ length: processes }, () => startLoop(args));
  await Promise.all(loops.map(({ heard }) => heard('ready')));
  const pids = loops.map(({ child }) => child.pid ?? 0);
  const [beganMs, usedMs] = [performance.now(), processorMs(pids)];
  for (const { child } of loops) child.stdin?.write('go\n');
  await Promise.all(loops.map(({ heard }) => heard('done')));
  const rate = commands / ((performance.now() - beganMs) / 1000);
  const found = { rate, processorMs: (processorMs(pids) - usedMs) / commands };
  for (const { child } of loops) child.stdin?.end();
  return found;
}

function startLoop(args: string[]) {
  const child: ChildProcess = adopt(
    spawn(process.execPath, ['--max-semi-space-size=1', LOOP, ...args], {
      env: { PATH },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  if (!child.stdout) throw new Error('A loop has no output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const heard = async (word: string) => {
    const { value } = await lines.next();
    if (value !== word) throw new Error(`A bare loop said '${value}', not '${word}'`);
  };
  return { child, heard };
}

/** The same by xargs, whose process is as small as it gets. */
export async function runXargs({ commands, concurrency }: Pick<Loops, 'commands' | 'concurrency'>): Promise<number> {
  const script = `seq ${commands} | xargs -P ${concurrency} -I {} /bin/bash -c 'echo hi' >/dev/null`;
  const beganMs = performance.now();
  const shell = adopt(spawn('/bin/bash', ['-c', script], { env: { PATH }, stdio: 'ignore' }));
  const [code] = await once(shell, 'exit');
  if (code !== 0) throw new Error(`xargs ended with ${code}`);
  return commands / ((performance.now() - beganMs) / 1000);
}
