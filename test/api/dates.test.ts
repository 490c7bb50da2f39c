import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let jobId: number;
beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
  const { body } = await admin('POST', '/job_api', { name: 'daily', cron: '0 12 * * *', command: 'true' });
  jobId = body.object.id;
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const DAY_MS = 86_400_000;
const occurrencesUntil = (endDate: string, timezone = 'UTC', headers = {}) =>
  admin('GET', `/job_api/${jobId}/occurrences/${endDate}?timezone=${timezone}&per_page=1000`, undefined, headers);
const runsFrom = (startDate: string, timezone = 'UTC') =>
  admin('GET', `/job_api/${jobId}/runs?${new URLSearchParams({ start_date: startDate, timezone })}`);

describe('the end of a list of occurrences', () => {
  test.each([
    ['in%2010%20days', {}],
    ['in+10+days', {}],
    ['en%2010%20d%C3%ADas', { 'accept-language': 'es' }],
    ['dans%2010%20jours', { 'accept-language': 'fr' }],
    [encodeURIComponent('через 10 дней'), { 'accept-language': 'ru' }],
    ['in%2010%20days', { 'accept-language': 'ru' }],
  ])('%s in %j', async (endDate, headers) => {
    const { status, body } = await occurrencesUntil(endDate, 'UTC', headers);
    expect(status).toBe(200);
    expect(body.object).toHaveLength(10);
    expect(Date.parse(body.object[9])).toBeLessThanOrEqual(Date.now() + 10 * DAY_MS);
  });

  test.each(['25+Dec+2026', 'Dec+25+2099', 'tomorrow+17:00', 'next+friday+17:00', '2099-01-03+09:00'])(
    'has blanks where %s has a plus',
    async (endDate) => {
      const [plus, blank] = [await occurrencesUntil(endDate), await occurrencesUntil(endDate.replaceAll('+', '%20'))];
      expect([plus.status, plus.headers.get('total')]).toEqual([200, blank.headers.get('total')]);
      expect(plus.body.object).toEqual(blank.body.object);
    },
  );

  test('keeps the plus of an offset behind an ISO time', async () => {
    const until = new Date(Date.now() + 2.5 * DAY_MS).toISOString().slice(0, 19);
    const [east, utc] = [await occurrencesUntil(`${until}+12:00`), await occurrencesUntil(`${until}Z`)];
    expect(Number(utc.headers.get('total')) - Number(east.headers.get('total'))).toBeGreaterThanOrEqual(0);
    expect(east.status).toBe(200);
    expect((await occurrencesUntil(`${until}%2B12:00`)).body.object).toEqual(east.body.object);
  });

  test('is a day’s beginning where it is a bare day', async () => {
    const { body } = await occurrencesUntil('2099-01-03', 'UTC');
    expect(body.object).toHaveLength(1000);
    const tomorrow = new Date(Date.now() + DAY_MS).toISOString().slice(0, 10);
    const inWords = await occurrencesUntil('tomorrow');
    expect(inWords.body.object).toEqual((await occurrencesUntil(tomorrow)).body.object);
  });

  test('is read by the wall clock of the request’s zone', async () => {
    const [apia, niue] = [
      await occurrencesUntil('tomorrow', 'Pacific/Apia'),
      await occurrencesUntil('tomorrow', 'Pacific/Niue'),
    ];
    for (const { status } of [apia, niue]) expect(status).toBe(200);
    expect(Math.abs(apia.body.object.length - niue.body.object.length)).toBeLessThanOrEqual(1);
  });
});

describe('a date that is none', () => {
  test.each([
    'oops',
    'tomorrow or so',
    '2026-02-30',
    '2026-13-01',
    '2026-00-10T10:00',
    'a'.repeat(99),
    'next '.repeat(2000),
    '0',
    '24:61',
    '\u0000',
  ])('is refused by the name of its parameter: %.30j', async (text) => {
    const { status, body } = await runsFrom(text);
    expect({ status, message: body.message }).toEqual({
      status: 422,
      message: `Start date '${text.trim().slice(0, 100)}' is not a date`,
    });
  });

  test.each([
    '0000-01-01',
    '0050-06-01',
    '0999-12-31',
    'in 20000 years',
    '5000 years ago',
    '24 nov 5 BC',
    '9999-12-31T23:59',
  ])('or that no database holds: %s', async (text) => {
    for (const path of ['runs?start_date=', 'runs?end_date=']) {
      const answer = await admin(
        'GET',
        `/job_api/${jobId}/${path}${encodeURIComponent(text)}&timezone=America/New_York`,
      );
      expect(answer).toMatchObject({ status: 422, body: { message: expect.stringContaining('is not a date') } });
    }
    expect((await occurrencesUntil(encodeURIComponent(text), 'America/New_York')).status).toBe(422);
    const preview = { cron: '0 0 * * *', timezone: 'America/New_York', from: text };
    expect((await admin('POST', '/schedule_api/preview', preview)).status).toBe(422);
  });

  test.each(['1000-01-02', '9999-12-31'])('is not %s', async (text) => {
    for (const zone of ['UTC', 'America/New_York', 'Pacific/Apia'])
      expect((await runsFrom(text, zone)).status).toBe(200);
  });
});
