import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { createRunnerPool } from '../src/worker/runnerPool.ts';
import { numberOption, percentile } from './support.ts';

/*
 * What a runner costs on top of bare execa: starts a second of `echo hi`, output read.
 * `node bench/runner.ts [--starts 1000] [--concurrency 10] [--rounds 5]`
 * (a) a loop around execa in a process that does nothing else, (b) one runner, driven over IPC. In turns, because the
 * machine's speed changes; the ratio is of the medians.
 */
const starts = numberOption('starts', 1000);
const concurrency = numberOption('concurrency', 10);
const rounds = numberOption('rounds', 5);
const PATH = process.env['PATH'] ?? '';

const BARE_LOOP = `
  import { execa } from 'execa';
  let left = ${starts};
  const work = async () => {
    while (left-- > 0) await execa('/bin/bash', ['-c', 'echo hi'], { stdin: 'ignore' });
  };
  await execa('/bin/bash', ['-c', 'echo hi'], { stdin: 'ignore' });
  const began = performance.now();
  await Promise.all(Array.from({ length: 8 }, work));
  console.log(${starts} / ((performance.now() - began) / 1000));
`;

async function bareExeca(): Promise<number> {
  const args = ['--max-semi-space-size=1', '--input-type=module', '--eval', BARE_LOOP];
  const root = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(process.execPath, args, { cwd: root, env: { PATH }, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += String(chunk);
  return Number(text);
}

async function runner(): Promise<number> {
  const pool = createRunnerPool(1, pino({ level: 'error' }));
  await pool.ready();
  let runId = 0;
  const start = async () => {
    const request = { runId: ++runId, command: 'echo hi', env: { PATH }, cwd: tmpdir(), outputBytesMax: 1_048_576 };
    const { stdout, errorMessage } = await pool.execute(request, () => {});
    if (stdout !== 'hi\n') throw new Error(`a run failed: ${errorMessage}`);
  };
  const work = async () => {
    while (runId < starts) await start();
  };
  await start();
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, work));
  const rate = runId / ((performance.now() - began) / 1000);
  await pool.close();
  return rate;
}

const figures = { bare: [] as number[], runner: [] as number[] };
for (let round = 1; round <= rounds; round++) {
  figures.bare.push(await bareExeca());
  figures.runner.push(await runner());
  console.log(
    `round ${round}: bare execa ${figures.bare.at(-1)?.toFixed(0)}/s, runner ${figures.runner.at(-1)?.toFixed(0)}/s`,
  );
}
const [bare, ours] = [percentile(figures.bare, 0.5), percentile(figures.runner, 0.5)];
console.log(`median: bare execa ${bare.toFixed(0)}/s, runner ${ours.toFixed(0)}/s, ratio ${(ours / bare).toFixed(2)}`);
