import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES = [
  ...['README.md', 'UPGRADING.md', 'CHANGELOG.md'],
  ...readdirSync(join(ROOT, 'docs')).map((name) => join('docs', name)),
];

/** As the headings of a page are reached on GitHub. */
function anchorsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
  const titles = Array.from(text.matchAll(/^#+ (.+)$/gm), ([, title = '']) => title.toLowerCase());
  return titles.map((title) => title.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-'));
}

test.each(PAGES)('%s links to nothing that is not there', (page) => {
  const targets = Array.from(readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\(([^)\s]+)\)/g), ([, to = '']) => to);
  const dead = targets.filter((target) => {
    const [file = '', anchor] = target.split('#');
    if (/^https?:/.test(file)) return false;
    const path = file === '' ? page : normalize(join(dirname(page), file));
    return !existsSync(join(ROOT, path)) || (anchor !== undefined && !anchorsOf(path).includes(anchor));
  });
  expect(dead).toEqual([]);
});
