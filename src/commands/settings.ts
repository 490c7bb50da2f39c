import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { type About, aboutSetting, SECTIONS } from '../platform/settings.ts';

const FILE = new URL('../../docs/configuration.md', import.meta.url);
const BEGIN = '<!-- Written by: bin/bjr settings --write -->\n';
const END = '<!-- End of what is written. -->\n';

/** Prints what settings there are, as Markdown; with --check compares that with docs/configuration.md, with --write puts it there. */
export function runSettings(args: string[]): number {
  const text = describeSettings();
  if (!args.includes('--check') && !args.includes('--write')) {
    process.stdout.write(text);
    return 0;
  }
  const page = readFileSync(FILE, 'utf8');
  const next = putBetween(page, text);
  if (args.includes('--write')) writeFileSync(FILE, next);
  else if (page !== next) {
    console.error('docs/configuration.md is not what src/platform/settings.ts says. bin/bjr settings --write');
    return 1;
  }
  return 0;
}

function putBetween(page: string, text: string): string {
  const [before, rest] = splitOnce(page, BEGIN);
  const [, after] = splitOnce(rest, END);
  return `${before}${BEGIN}\n${text}\n${END}${after}`;
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) throw new Error(`docs/configuration.md lacks the line ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

function describeSettings(): string {
  return Object.entries(SECTIONS)
    .map(([title, settings]) => `## ${title}\n\n${table(settings)}`)
    .join('\n');
}

function table(settings: Record<string, z.ZodType>): string {
  const rows = Object.entries(settings).map(([name, schema]) => row(name, schema));
  return `| setting | values | default | what it does |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

function row(name: string, schema: z.ZodType): string {
  const about = aboutSetting(schema);
  const { type, enum: choices, minimum, maximum, default: fallback } = readSchema(schema);
  const values =
    about.values ?? (choices ? choices.map(code).join(', ') : type === 'number' ? `${minimum}–${maximum}` : 'text');
  const does = [about.does, ...notes(about)].join('. ');
  return `| ${code(name)} | ${values} | ${about.fallback ?? (fallback === '' ? 'none' : code(fallback))} | ${does} |\n`;
}

const code = (value: unknown) => `\`${String(value)}\``;

function notes({ isSecret, inProduction: { neededBy, refuses, exampleFrom } = {} }: About): string[] {
  return [
    ...(isSecret ? ['A secret'] : []),
    ...(neededBy
      ? [`In production \`bjr ${neededBy.command}\` needs it, with ${neededBy.bytesMin} bytes or more`]
      : []),
    ...(exampleFrom ? [`For example from ${code(exampleFrom)}`] : []),
    ...(refuses ? [`Production refuses ${code(refuses)}`] : []),
  ];
}

/** What a value amounts to once it is read: numbers, not the text of them. */
function readSchema(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' });
}
