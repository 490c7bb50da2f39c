import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, startApi } from '../support/api.ts';
import { openBrowser } from '../support/browser.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

/** To be looked at by people: they are compared with nothing. */
const PICTURES = fileURLToPath(new URL('../../.bjr/pictures', import.meta.url));

const browser: Browser | null = await openBrowser();
afterAll(() => browser?.close());

describe.skipIf(!browser)('/api-docs in a browser', () => {
  let env: TestEnvironment;
  let api: ApiServer;
  let page: Page;
  let complaints: string[];
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    env = await createEnvironment();
    await seedFirstStart(env.db, env.config.seed);
    api = await startApi(env);
  });
  afterAll(async () => {
    await api.process.end('SIGTERM');
    await env.close();
  });
  beforeEach(async () => {
    if (!browser) return;
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    complaints = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} ${request.failure()?.errorText}`));
    await page.goto(`${api.url}/api-docs`);
    await page.getByRole('button', { name: 'Authorize' }).waitFor();
  });

  const picture = (name: string) => page.screenshot({ path: join(PICTURES, `${name}.png`) });
  const operation = (id: string) => page.locator(`#operations-Jobs-${id}`);
  const tokenOf = async () => {
    const body = { username: 'admin', password: 'password1234' };
    return String((await api.call('POST', '/authenticate', { body })).body.auth_token);
  };

  test('shows every group of the API, asks nobody else for anything, and complains of nothing', async () => {
    const groups = await page
      .locator('.opblock-tag')
      .evaluateAll((tags) => tags.map((tag) => tag.getAttribute('data-tag')));
    expect(groups).toEqual(expect.arrayContaining(['Authentication', 'Folders', 'Jobs', 'JobServer', 'Users']));
    const asked = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin),
    );
    expect(new Set(asked)).toEqual(new Set([api.url]));
    expect(complaints).toEqual([]);
    await picture('api-docs');
  });

  test('fits a narrow window', async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    const overflow = await page
      .locator('html')
      .evaluate(
        ({ scrollWidth, clientWidth }: { scrollWidth: number; clientWidth: number }) => scrollWidth - clientWidth,
      );
    expect(overflow).toBeLessThanOrEqual(0);
    await picture('api-docs-narrow');
  });

  test.each(['token', 'bearer'])(
    'with a token given as %s, "Try it out" creates a job and lists it',
    async (scheme) => {
      await page.getByRole('button', { name: 'Authorize' }).first().click();
      const section = page.locator('.auth-container').filter({ hasText: `${scheme} (` });
      await section.locator('input').fill(await tokenOf());
      await section.getByRole('button', { name: 'Apply credentials' }).click();
      await page.getByRole('button', { name: 'Close' }).first().click();

      const create = operation('createJob');
      await create.locator('.opblock-summary-control').click();
      await create.getByRole('button', { name: 'Try it out' }).click();
      const job = { name: `from a browser, ${scheme}`, command: 'echo hi', cron: '0 3 * * *', timezone: 'UTC' };
      await create.locator('textarea.body-param__text').fill(JSON.stringify(job));
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await create.getByRole('button', { name: 'Execute' }).click();
      expect((await answered).status()).toBe(201);
      await create.locator('.live-responses-table .response-col_status').getByText('201').waitFor();
      await create.locator('.live-responses-table').scrollIntoViewIfNeeded();
      await picture(`created-${scheme}`);
      expect(await env.query('SELECT command, cron FROM jobs WHERE name = ?', [job.name])).toEqual([
        { command: 'echo hi', cron: '0 3 * * *' },
      ]);

      const list = operation('getJobs');
      await list.locator('.opblock-summary-control').click();
      await list.getByRole('button', { name: 'Try it out' }).click();
      const listed = page.waitForResponse((response) => response.url().includes('/job_api'));
      await list.getByRole('button', { name: 'Execute' }).click();
      expect(await (await listed).text()).toContain(job.name);
      expect(complaints).toEqual([]);
    },
  );
});

describe.skipIf(!browser)('a page elsewhere', () => {
  let env: TestEnvironment;
  let api: ApiServer;
  /** Lets the origin of the first page in. */
  let open: ApiServer;
  let known: Server;
  let stranger: Server;
  beforeAll(async () => {
    env = await createEnvironment();
    await seedFirstStart(env.db, env.config.seed);
    [known, stranger] = await Promise.all([servePage(), servePage()]);
    [api, open] = await Promise.all([startApi(env), startApi(env, { CORS_ORIGINS: originOf(known) })]);
  });
  afterAll(async () => {
    for (const page of [known, stranger]) page.close();
    await Promise.all([api, open].map(({ process }) => process.end('SIGTERM')));
    await env.close();
  });

  test('reads the API from a configured origin only, and frames it nowhere', async () => {
    const page = await (browser as Browser).newPage();
    const { body } = await api.call('POST', '/authenticate', { body: { username: 'admin', password: 'password1234' } });
    const read = async (server: ApiServer, elsewhere: Server) => {
      await page.goto(originOf(elsewhere));
      return page.evaluate(
        ([url, authorization = '']) =>
          fetch(`${url}/job_api`, { headers: { authorization } }).then(
            (answer) => answer.headers.get('total'),
            () => 'refused',
          ),
        [server.url, String(body.auth_token)],
      );
    };
    expect(await read(open, known)).toBe('3');
    expect(await read(open, stranger)).toBe('refused');
    expect(await read(api, known)).toBe('refused');
    await page.setContent(`<iframe src="${api.url}/api-docs"></iframe>`);
    await expect.poll(() => page.frames()[1]?.url(), { timeout: 60_000 }).toBe('chrome-error://chromewebdata/');
  });
});

async function servePage(): Promise<Server> {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<p>elsewhere</p>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
