import { readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { asUser } from './asUser.ts';
import { codeOf } from './describeExit.ts';
import { type Owner, RUN_TOKEN } from './protocol.ts';

/** A run whose processes are to be found wherever they are. */
export interface Sought {
  token: string;
  owner?: Owner | undefined;
}

/** One that goes on making children faster than they are found must not hold up its run's end. */
const SEARCH_MS_MAX = 1000;
const PAUSE_MS = 5;

const sought = new Map<string, Sought>();
let search: Promise<Set<string>> | undefined;

/**
 * Kills the processes of a run that have left its group (setsid), known by the token in their environment, until none is
 * left. Runs that end together, as in a drain, share each look through /proc. Without /proc nothing is found.
 */
export async function endEscapees(run: Sought): Promise<void> {
  sought.set(run.token, run);
  const untilMs = performance.now() + SEARCH_MS_MAX;
  try {
    // A look that was under way when this run was added may have begun without it: only the one after counts.
    await search;
    while ((await nextSearch()).has(run.token) && performance.now() < untilMs) await delay(PAUSE_MS);
  } finally {
    sought.delete(run.token);
  }
}

/** The tokens of which a process was found, and killed. */
function nextSearch(): Promise<Set<string>> {
  search ??= Promise.resolve().then(() => {
    search = undefined;
    return killFound();
  });
  return search;
}

function killFound(): Set<string> {
  const found = new Set<string>();
  for (const { pid, token } of findMarked()) {
    found.add(token);
    kill(pid);
  }
  return found;
}

function findMarked(): { pid: number; token: string }[] {
  const denied: number[] = [];
  const marked = processes().flatMap((pid) => readToken(pid, () => denied.push(pid)) ?? []);
  // Root without CAP_SYS_PTRACE, as in a container, is not shown the environment of another user's process.
  for (const owner of ownersSought()) {
    const theirs = denied.filter((pid) => isOwnedBy(pid, owner));
    if (theirs.length > 0) marked.push(...asUser(owner, () => theirs.flatMap((pid) => readToken(pid) ?? [])));
  }
  return marked;
}

function processes(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

const MARK = new RegExp(`(?:^|\\0)${RUN_TOKEN}=([^\\0]+)`);

/** Null for what is not sought, has ended (a zombie's environment is empty) or is not shown. */
function readToken(pid: number, onDenied?: () => void): { pid: number; token: string } | null {
  try {
    const token = MARK.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1];
    return token !== undefined && sought.has(token) ? { pid, token } : null;
  } catch (error) {
    if (codeOf(error) === 'EACCES') onDenied?.();
    return null;
  }
}

function ownersSought(): Owner[] {
  const owners = [...sought.values()].flatMap(({ owner }) => owner ?? []);
  return [...new Map(owners.map((owner) => [owner.uid, owner])).values()];
}

function isOwnedBy(pid: number, { uid }: Owner): boolean {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it has ended. EPERM: it runs as another user (sudo) and stays.
  }
}
