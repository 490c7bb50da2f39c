import { AppError } from '../domain/errors.ts';
import type { Queryable } from '../store/database.ts';
import { settleKey, takeKey } from '../store/idempotencyKeys.ts';
import type { Caller } from './services.ts';

/** A request that its client may send again without knowing what became of the first; null: it may not. */
export type Idempotency = { key: string; fingerprint: string } | null;

/** What a request made, by its id; `isReplay`: an earlier one with the same key had made it. */
export interface Made {
  id: number;
  isReplay: boolean;
}

/**
 * Makes something once for a key, in the transaction that makes it: a request that fails leaves no key behind.
 * @throws {AppError} key_reused: another request has this key
 */
export async function once(
  tx: Queryable,
  { userId }: Caller,
  { idempotency, make }: { idempotency: Idempotency; make(): Promise<number> },
): Promise<Made> {
  if (!idempotency) return { id: await make(), isReplay: false };
  const request = { userId, ...idempotency };
  const taken = await takeKey(tx, request);
  if (taken && taken.fingerprint !== idempotency.fingerprint) throw new AppError({ code: 'key_reused' });
  if (taken) return { id: taken.resourceId, isReplay: true };
  const id = await make();
  await settleKey(tx, request, id);
  return { id, isReplay: false };
}
