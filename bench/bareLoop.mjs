/*
 * Starts commands and does nothing else: what the product is measured against. Arguments: execa or spawn, how many, how many
 * at a time. Says "ready", starts on the first input, says "done" at the end, and stays until its input ends.
 * JavaScript, because stripping types leaves memory behind, and a fork's cost follows the memory of the process that forks.
 */
import { spawn } from 'node:child_process';
import { execa } from 'execa';

const [, , how, count, concurrency] = process.argv;
const COMMAND = ['/bin/bash', ['-c', 'echo hi']];

const ways = {
  execa: () => execa(...COMMAND, { stdin: 'ignore' }),
  spawn: () =>
    new Promise((resolve, reject) => {
      const child = spawn(...COMMAND, { stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout, child.stderr]) stream.on('data', () => {});
      child.once('error', reject);
      child.once('close', resolve);
    }),
};
const start = ways[how];

let left = Number(count);
const work = async () => {
  while (left-- > 0) await start();
};
await start();
console.log('ready');
const startAll = async () => {
  await Promise.all(Array.from({ length: Number(concurrency) }, work));
  console.log('done');
  process.stdin.once('end', () => process.exit());
};
process.stdin.once('data', () => void startAll());
