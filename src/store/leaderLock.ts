import type { Database, DedicatedConnection } from './database.ts';

/** The leader's lock while Redis is away: MySQL's named lock, which lives as long as its connection. */
export interface DatabaseLeaderLock {
  /** Takes the lock or makes sure that it is still held. */
  hold(): Promise<boolean>;
  release(): void;
}

export function createDatabaseLeaderLock(db: Database, databaseName: string): DatabaseLeaderLock {
  const name = `bjr-leader:${databaseName}`.slice(0, 64);
  let connection: DedicatedConnection | undefined;
  const release = () => {
    connection?.close();
    connection = undefined;
  };
  const open = async () => {
    const opened = await db.dedicate();
    opened.onLost(() => {
      if (connection === opened) connection = undefined;
    });
    return opened;
  };
  return {
    async hold() {
      connection ??= await open();
      const opened = connection;
      try {
        // Taking a named lock that this connection holds already succeeds.
        const [row] = await opened.query('SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS mine', [name]);
        if (row?.['mine'] === 1) return true;
        const [taken] = await opened.query('SELECT GET_LOCK(?, 0) AS held', [name]);
        if (taken?.['held'] === 1) return true;
        release();
        return false;
      } catch (error) {
        release();
        throw error;
      }
    },
    release,
  };
}
