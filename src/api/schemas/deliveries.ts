import { DELIVERY_STATES } from '../../domain/delivery.ts';
import { formatInZone } from '../../domain/timezone.ts';
import type { Delivery as DeliveryRow, DeliveryAttempt as TryRow } from '../../store/deliveries.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime } from './common.ts';

export const Delivery = z
  .object({
    id: z.int(),
    job_id: z.int(),
    run_id: z.int(),
    url: z.string(),
    state: z.enum(DELIVERY_STATES),
    attempts: z.int().openapi({ description: 'Tries so far' }),
    next_attempt_at: DateTime.optional().openapi({ description: 'Of a pending one' }),
    last_status: z.int().optional().openapi({ description: 'HTTP status of the last try; absent: no answer' }),
    last_error: z.string().openapi({ description: '"" when there is none' }),
    created_at: DateTime,
    updated_at: DateTime,
  })
  .openapi('Delivery');
export const DeliveryArrayMessage = envelopeOf(z.array(Delivery).openapi('DeliveryArray'), 'DeliveryArrayMessage');

const DeliveryTry = z
  .object({
    attempt: z.int(),
    started_at: DateTime,
    duration_ms: z.int(),
    status: z.int().optional(),
    error: z.string(),
  })
  .openapi('DeliveryTry');

export const FullDelivery = z
  .object({ ...Delivery.shape, tries: z.array(DeliveryTry).openapi({ description: 'Newest first, at most 100' }) })
  .openapi('FullDelivery');
export const FullDeliveryMessage = envelopeOf(FullDelivery, 'FullDeliveryMessage');

export const CallbackSecret = z
  .object({ secret: z.string().openapi({ description: '64 hexadecimal digits: the key of X-BJR-Signature, as text' }) })
  .openapi('CallbackSecret');
export const CallbackSecretMessage = envelopeOf(CallbackSecret, 'CallbackSecretMessage');

export function toDelivery(row: DeliveryRow, timezone: string): z.infer<typeof Delivery> {
  return {
    id: row.id,
    job_id: row.jobId,
    run_id: row.runId,
    url: row.url,
    state: row.state,
    attempts: row.attempts,
    ...(row.state === 'pending' && { next_attempt_at: formatInZone(row.nextAttemptAt, timezone) }),
    ...(row.lastStatus !== null && { last_status: row.lastStatus }),
    last_error: row.lastError,
    created_at: formatInZone(row.createdAt, timezone),
    updated_at: formatInZone(row.updatedAt, timezone),
  };
}

export function toFullDelivery(
  { tries, ...row }: DeliveryRow & { tries: TryRow[] },
  timezone: string,
): z.infer<typeof FullDelivery> {
  return {
    ...toDelivery(row, timezone),
    tries: tries.map(({ attempt, startedAt, durationMs, status, error }) => ({
      attempt,
      started_at: formatInZone(startedAt, timezone),
      duration_ms: durationMs,
      ...(status !== null && { status }),
      error,
    })),
  };
}
