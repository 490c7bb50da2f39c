import { AUDIT_KINDS, AUDIT_OPERATIONS } from '../../domain/audit.ts';
import { formatInZone } from '../../domain/timezone.ts';
import type { AuditEntry as Entry } from '../../store/auditEntries.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime } from './common.ts';

const fields = (description: string) => z.record(z.string(), z.unknown()).nullable().openapi({ description });

const AuditEntry = z
  .object({
    id: z.int(),
    created_at: DateTime,
    user_id: z.int().nullable().openapi({ description: 'Who; null where a sign-in was refused' }),
    username: z.string().openapi({ description: 'The name at that time' }),
    address: z.string().openapi({ description: "The client's network address" }),
    operation: z.enum(AUDIT_OPERATIONS),
    kind: z.enum(AUDIT_KINDS),
    object_id: z.int().nullable(),
    before: fields('What it was, secrets hidden; of an update the fields that changed'),
    after: fields('What it became'),
  })
  .openapi('AuditEntry');
export const AuditEntryArrayMessage = envelopeOf(
  z.array(AuditEntry).openapi('AuditEntryArray'),
  'AuditEntryArrayMessage',
);

export function toAuditEntry(entry: Entry, timezone: string): z.infer<typeof AuditEntry> {
  return {
    id: entry.id,
    created_at: formatInZone(entry.createdAt, timezone),
    user_id: entry.userId,
    username: entry.username,
    address: entry.address,
    operation: entry.operation,
    kind: entry.kind,
    object_id: entry.objectId,
    before: entry.before,
    after: entry.after,
  };
}
