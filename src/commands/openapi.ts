import { readFileSync } from 'node:fs';
import { createApi } from '../api/app.ts';
import { describeApi } from '../api/description.ts';

const FILE = new URL('../../openapi.json', import.meta.url);

/** Prints the description; with --check compares it with openapi.json, which clients are generated from. */
export function runOpenApi(args: string[]): number {
  const text = `${JSON.stringify(describeApi(createApi(UNUSED)), null, 2)}\n`;
  if (!args.includes('--check')) {
    process.stdout.write(text);
    return 0;
  }
  if (readFileSync(FILE, 'utf8') === text) return 0;
  console.error('openapi.json is not what the routes say. Write it anew: bin/bjr openapi > openapi.json');
  return 1;
}

/** The description comes from the routes alone: none of them is called. */
const UNUSED: Parameters<typeof createApi>[0] = new Proxy(Object.create(null), {
  get(_, name) {
    throw new Error(`Nothing may use '${String(name)}' while the API is described`);
  },
});
