import { parseArgs } from 'node:util';
import { LEGACY_PASSWORD, makeLegacyDatabase } from '../../test/support/legacyDatabase.ts';

/*
 * Makes a database of the first BJR, to try an import with:
 * LEGACY_DATABASE_URL=mysql://… node tools/legacy/make.ts [--jobs 10000] [--runs 100000] [--flaws]
 */
const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '100000' },
    flaws: { type: 'boolean', default: false },
  },
});
const url = process.env['LEGACY_DATABASE_URL'];
if (!url) throw new Error('LEGACY_DATABASE_URL is not set');
const size = { jobs: Number(values.jobs), runs: Number(values.runs), hasFlaws: values.flaws };
await makeLegacyDatabase(url, size);
console.log(`${size.jobs} jobs, ${size.runs} runs; users root, admin and alice with the password '${LEGACY_PASSWORD}'`);
