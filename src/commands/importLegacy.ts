import { parseArgs } from 'node:util';
import type { Config } from '../platform/config.ts';
import { importLegacy } from '../services/importLegacy.ts';
import { createDatabase } from '../store/database.ts';
import { openLegacySource } from '../store/legacy/source.ts';
import { requireSchema } from '../store/requireSchema.ts';

const HELP = `bjr import-legacy: takes over the users, jobs, tags, folders, runs and statistics of the first BJR (UPGRADING.md).

  LEGACY_DATABASE_URL=mysql://USER:PASSWORD@HOST:PORT/DATABASE bjr import-legacy [OPTIONS]

  --dry-run            only tells what it would do
  --legacy-passwords   users who are here already get the password that they had there
  --run-missed         what the first BJR should have run before now is run late, as misfires are; else it is recorded as missed

The first BJR must be stopped. Its database is only read. It may be run again: it goes on where it was, and takes what is new.
The report goes to standard output, progress to standard error. Exit code 0: everything is here; 3: the report says what is not.`;

const INCOMPLETE = 3;
/** Two imports at once would take the same rows. */
const LOCK = 'bjr-import';
const KEEP_ALIVE_MS = 5000;
const LOCK_LOST =
  'The connection that kept other imports away is gone (this process was stopped, or the database was). Start the import again: it goes on where it was.';

export async function runImportLegacy(args: string[], config: Config): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      'dry-run': { type: 'boolean', default: false },
      'legacy-passwords': { type: 'boolean', default: false },
      'run-missed': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (!config.legacyDatabase) {
    console.error(`LEGACY_DATABASE_URL is not set.\n\n${HELP}`);
    return 2;
  }
  const db = createDatabase(config.database);
  const lock = await db.dedicate();
  // The lock goes with its connection, and a silent one is given up.
  const keepAlive = setInterval(() => void lock.query('DO 0', []).catch(() => {}), KEEP_ALIVE_MS);
  const lockLost = new Promise<never>((_, reject) => {
    lock.onLost(() => reject(new Error(LOCK_LOST)));
  });
  lockLost.catch(() => {});
  try {
    await requireSchema(db);
    const [row] = await lock.query('SELECT GET_LOCK(?, 0) AS held', [`${LOCK}:${config.database.name}`.slice(0, 64)]);
    if (row?.['held'] !== 1) throw new Error('Another import is under way');
    const source = await openLegacySource(config.legacyDatabase);
    try {
      const importing = importLegacy({
        db,
        source,
        isDryRun: values['dry-run'],
        hasLegacyPasswords: values['legacy-passwords'],
        isMissedRun: values['run-missed'],
        outputBytesMax: config.worker.outputBytesMax,
        onProgress: ({ table, done, total }) => console.error(`${table}: ${done} of ${total}`),
      });
      importing.catch(() => {});
      const report = await Promise.race([importing, lockLost]);
      console.log(report.print());
      console.log(values['dry-run'] ? '\nNothing was written: this was a dry run.' : '\nDone.');
      return report.isComplete() ? 0 : INCOMPLETE;
    } finally {
      source.close();
    }
  } finally {
    clearInterval(keepAlive);
    lock.close();
    await db.close();
  }
}
