import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const preview = (body: Record<string, unknown>, language = 'en') =>
  admin('POST', '/schedule_api/preview', body, { 'accept-language': language });

describe('a preview', () => {
  test('shows a skipped local time', async () => {
    const { body } = await preview({ cron: '30 2 * * *', timezone: 'Europe/Berlin', from: '2027-03-27', count: 3 });
    expect(body).toMatchObject({ message: 'Schedule previewed successfully.', object_type: 'schedulepreview' });
    expect(body.object).toEqual({
      description: 'At 02:30',
      kind: 'fixed',
      occurrences: [
        { at: '2027-03-27T02:30:00.000+01:00' },
        {
          at: '2027-03-28T03:00:00.000+02:00',
          note: 'The clock skips its time on 2027-03-28: it runs at the first moment after the gap.',
        },
        { at: '2027-03-29T02:30:00.000+02:00' },
      ],
    });
  });

  test('names the day that is skipped, also where a whole one is', async () => {
    const { body } = await preview({
      cron: '0 12 * * *',
      timezone: 'Pacific/Apia',
      from: '2011-12-29T12:00-10:00',
      count: 1,
    });
    expect(body.object.occurrences).toEqual([
      {
        at: '2011-12-31T00:00:00.000+14:00',
        note: 'The clock skips its time on 2011-12-30: it runs at the first moment after the gap.',
      },
    ]);
  });

  test('shows a local time that is read twice: once for a fixed time, twice for an interval', async () => {
    const berlin = { timezone: 'Europe/Berlin', from: '2027-10-31T02:00+02:00', count: 2 };
    const fixed = await preview({ ...berlin, cron: '30 2 * * *' });
    expect(fixed.body.object.occurrences).toEqual([
      { at: '2027-10-31T02:30:00.000+02:00', note: 'The clock shows 02:30 twice that day: it runs at the first.' },
      { at: '2027-11-01T02:30:00.000+01:00' },
    ]);
    const interval = await preview({ ...berlin, cron: '30 * * * *' });
    expect(interval.body.object.kind).toBe('interval');
    expect(interval.body.object.occurrences).toEqual([
      { at: '2027-10-31T02:30:00.000+02:00', note: 'The clock shows 02:30 twice that day: it runs both times.' },
      { at: '2027-10-31T02:30:00.000+01:00', note: 'The clock shows 02:30 twice that day: it runs both times.' },
    ]);
  });

  test('comes in words of the request’s language, for ten occurrences from now', async () => {
    const { body } = await preview({ cron: '*/5 * * * *' }, 'es-MX,en;q=0.5');
    expect(body.object.description).toBe('Cada 5 minutos');
    expect(body.object.occurrences).toHaveLength(10);
    expect(Date.parse(body.object.occurrences[0].at)).toBeGreaterThan(Date.now());
  });

  test.each([
    [{}, 422, "Cron can't be blank"],
    [{ cron: 'oops' }, 422, "Cron 'oops' is an invalid cron expression."],
    [{ cron: '* * * * *', count: 101 }, 422, 'Count must be in the range 1–100'],
    [{ cron: '* * * * *', from: 'oops' }, 422, "From 'oops' is not a date"],
  ])('of %j is refused', async (body, status, message) => {
    expect(await preview(body)).toMatchObject({ status, body: { message } });
  });

  test('in a zone that is none is refused', async () => {
    expect((await preview({ cron: '* * * * *', timezone: 'Nowhere' })).status).toBe(400);
  });
});
