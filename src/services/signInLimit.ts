import { createHash } from 'node:crypto';
import { AppError } from '../domain/errors.ts';
import { foldName } from '../domain/name.ts';
import type { Attempts } from '../redis/attempts.ts';

/** Who tries to sign in, and from where. */
export interface SignIn {
  username: string;
  /** The client's network address. */
  address: string;
}

const SPAN_MS = 15 * 60_000;
/**
 * Beside the limit for one name from one address: ten names from one address, and one name from fifty. The last is high,
 * because who reaches it keeps the user out.
 */
const TIMES = { address: 10, username: 50 };

/**
 * Counts a try before its password is looked at, so that tries made at once count too.
 * @throws {AppError} too_many_attempts
 */
export async function countSignIn(attempts: Attempts, signIn: SignIn, max: number): Promise<void> {
  for (const { key, times } of limitsOf(signIn)) {
    const { count, endsInMs } = await attempts.add(key, SPAN_MS);
    if (count > max * times) throw new AppError({ code: 'too_many_attempts', seconds: Math.ceil(endsInMs / 1000) });
  }
}

/** Takes a try back: only wrong passwords count. */
export async function forgiveSignIn(attempts: Attempts, signIn: SignIn): Promise<void> {
  for (const { key } of limitsOf(signIn)) await attempts.takeBack(key);
}

const NOTED_MAX = 1000;

/** Whether a refusal goes into the audit log: who guesses from many addresses must not fill it. */
export async function mayNoteRefusal(attempts: Attempts): Promise<boolean> {
  return (await attempts.add('noted refusals', SPAN_MS)).count <= NOTED_MAX;
}

function limitsOf({ username, address }: SignIn) {
  // Names are of any length and may be passwords typed into the wrong field.
  const name = createHash('sha256').update(foldName(username)).digest('hex');
  return [
    { key: `${name}@${address}`, times: 1 },
    { key: `@${address}`, times: TIMES.address },
    { key: name, times: TIMES.username },
  ];
}
