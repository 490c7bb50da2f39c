import { AppError } from '../domain/errors.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { callbackSecretOf, replaceCallbackSecret as replaceSecret } from '../store/callbackSecret.ts';
import { findDelivery, listDeliveries, requeueDelivery } from '../store/deliveries.ts';
import { getJob, ownerOf } from './jobs.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** @throws {AppError} job_not_found */
export async function getDeliveries(
  parts: ServiceParts,
  caller: Caller,
  { jobId, page }: { jobId: number; page: Page },
) {
  await getJob(parts, caller, jobId);
  return listDeliveries(parts.db, { jobId, ...page });
}

/** @throws {AppError} delivery_not_found */
export async function getDelivery({ db }: ServiceParts, caller: Caller, id: number) {
  const delivery = await findDelivery(db, { id, userId: ownerOf(caller) });
  if (!delivery) throw new AppError({ code: 'delivery_not_found' });
  return delivery;
}

/** Has a callback delivered again, with a day of tries before it, whatever became of it. */
export async function redeliver(parts: ServiceParts, caller: Caller, id: number): Promise<void> {
  const { runId } = await getDelivery(parts, caller, id);
  await parts.db.transact(async (tx) => {
    await requeueDelivery(tx, id);
    const change = { operation: 'redeliver', kind: 'run', objectId: runId, before: null, after: null } as const;
    await insertAuditEntry(tx, caller, change);
  });
  await parts.wakeUps.send('all');
}

/** What signs the callbacks of the caller's jobs. */
export function getCallbackSecret({ db }: ServiceParts, caller: Caller): Promise<string> {
  return callbackSecretOf(db, ownerOf(caller));
}

export function replaceCallbackSecret({ db }: ServiceParts, caller: Caller): Promise<string> {
  const userId = ownerOf(caller);
  return db.transact(async (tx) => {
    const change = { operation: 'replace_secret', kind: 'user', objectId: userId, before: null, after: null } as const;
    await insertAuditEntry(tx, caller, change);
    return replaceSecret(tx, userId);
  });
}
