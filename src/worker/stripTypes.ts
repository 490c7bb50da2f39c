import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

/**
 * A program of its own: prints the modules of the folder given as JavaScript, a JSON object of text by file name. What
 * strips types takes a dozen megabytes and never gives them back, and it warns that it is experimental.
 */
const folder = process.argv[2] ?? '';
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
const read = (name: string) => stripTypeScriptTypes(readFileSync(join(folder, name), 'utf8'));
console.log(JSON.stringify(Object.fromEntries(names.map((name) => [name, read(name)]))));
