import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { en } from '../../src/api/messages/en.ts';
import { LANGUAGES } from '../../src/api/messages/say.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).toSorted();

describe('the languages', () => {
  test('are en, es, fr and ru', () => expect(Object.keys(LANGUAGES)).toEqual(['en', 'es', 'fr', 'ru']));

  test.each(['es', 'fr', 'ru'])('%s says all that English says, with the same values', (language) => {
    const messages: Record<string, string> = LANGUAGES[language] ?? {};
    expect(Object.keys(messages).toSorted()).toEqual(Object.keys(en).toSorted());
    for (const [key, text] of Object.entries(messages)) {
      const english = en[key as keyof typeof en];
      expect([key, placeholders(text)]).toEqual([key, placeholders(english)]);
      expect([key, text]).not.toEqual([key, english]);
    }
  });
});

describe('Accept-Language', () => {
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

  test.each([
    ['', 'en', 'Job not found.'],
    ['de', 'en', 'Job not found.'],
    ['es', 'es', 'Trabajo no encontrado.'],
    ['es-MX,en;q=0.8', 'es', 'Trabajo no encontrado.'],
    ['de, fr;q=0.5, ru;q=0.7', 'ru', 'Задание не найдено.'],
    ['FR-ca', 'fr', 'Tâche introuvable.'],
    ['*', 'en', 'Job not found.'],
    ['ru;q=0, en', 'en', 'Job not found.'],
    [';;;,,q=x', 'en', 'Job not found.'],
  ])('%j picks %s', async (header, language, message) => {
    const { body, headers } = await admin(
      'GET',
      '/job_api/999999',
      undefined,
      header ? { 'accept-language': header } : {},
    );
    expect([body.message, headers.get('content-language')]).toEqual([message, language]);
    expect(headers.get('vary')).toContain('Accept-Language');
  });

  test('reaches every kind of answer', async () => {
    const fr = { 'accept-language': 'fr' };
    const messageOf = async (answer: Promise<{ body: { message: string } }>) => (await answer).body.message;
    expect(await messageOf(admin('GET', '/job_api', undefined, fr))).toBe('Tâche(s) reçue(s) avec succès.');
    expect(await messageOf(admin('POST', '/job_api', {}, fr))).toBe(
      'Name doit être rempli(e) Command doit être rempli(e) Cron doit être rempli(e)',
    );
    expect(await messageOf(admin('POST', '/job_api', '{', { ...fr, 'content-type': 'application/json' }))).toContain(
      'Le JSON du corps de la requête ne peut pas être lu',
    );
    expect(await messageOf(api.call('GET', '/job_api', { headers: fr }))).toBe('Non autorisé');
    expect(await messageOf(api.call('POST', '/authenticate', { body: {}, headers: fr }))).toBe(
      'Identifiants invalides',
    );
    expect(await messageOf(admin('GET', '/nowhere', undefined, fr))).toBe('Introuvable.');
    expect(await messageOf(admin('GET', '/version?timezone=x', undefined, fr))).toContain(
      "Fuseau horaire 'x' invalide.",
    );
  });

  test('is not named where nothing is said', async () => {
    const { headers } = await api.call('GET', '/openapi.json', { headers: { 'accept-language': 'es' } });
    expect([headers.get('content-language'), headers.get('vary')]).toEqual([null, 'Accept-Language']);
  });
});
