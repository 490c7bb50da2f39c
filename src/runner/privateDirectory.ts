import { chmodSync, lstatSync, mkdirSync } from 'node:fs';

/**
 * Makes the runner's directory again if it is gone: systems clear /tmp of what has not been used for days. Throws where
 * somebody else has taken its name, because commands would then be executed from a directory that is theirs.
 */
export function ensurePrivate(directory: string): void {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (!found) mkdirSync(directory, { mode: 0o700 });
  else if (!found.isDirectory() || found.uid !== process.getuid?.())
    throw new Error(`'${directory}' is not the runner's own directory any more`);
}

/** Lets commands of other users come at what is theirs in it, by name: they cannot list it. */
export function admitOthers(directory: string): void {
  chmodSync(directory, 0o711);
}
