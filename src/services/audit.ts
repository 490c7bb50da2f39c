import { type AuditEntry, type AuditFilter, listAuditEntries as listEntries } from '../store/auditEntries.ts';
import type { Caller, Page, ServiceParts } from './services.ts';
import { requireRoot } from './users.ts';

/** Who changed what, newest first. @throws {AppError} root_required: it shows what every user did */
export async function listAuditEntries(
  { db }: ServiceParts,
  caller: Caller,
  { filter, page }: { filter: AuditFilter; page: Page },
): Promise<{ entries: AuditEntry[]; total: number }> {
  requireRoot(caller);
  return listEntries(db, filter, page);
}
