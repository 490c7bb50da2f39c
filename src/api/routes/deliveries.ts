import type { Context, MiddlewareHandler } from 'hono';
import * as deliveries from '../../services/deliveries.ts';
import { send } from '../envelope.ts';
import { pathIdOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation, type Operation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { id, page, pagingHeaders, perPage, timezone } from '../schemas/common.ts';
import {
  CallbackSecretMessage,
  DeliveryArrayMessage,
  FullDeliveryMessage,
  toDelivery,
  toFullDelivery,
} from '../schemas/deliveries.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

const tag = 'Callbacks';
const notFound = { description: 'Delivery not found' };
const rootRefused = { description: 'The root user owns no jobs' };

/** What became of callbacks, delivering them again, and the secret that signs them. */
export function addDeliveries(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  const add = (operation: Omit<Operation, 'tag'>, handler: Parameters<typeof addOperation>[3]) =>
    addOperation(api, { ...operation, tag, responses: { ...operation.responses, 403: rootRefused } }, guards, handler);

  add(
    {
      method: 'get',
      path: '/job_api/{id}/deliveries',
      operationId: 'getJobDeliveries',
      summary: "Lists the deliveries of a job's callbacks, newest first",
      params: { id },
      query: { per_page: perPage, page, timezone },
      responses: {
        200: { description: 'Deliveries', schema: DeliveryArrayMessage, headers: pagingHeaders },
        404: { description: 'Job not found' },
      },
    },
    async (c) => {
      const jobId = pathIdOf(c, 'job_not_found');
      const found = await deliveries.getDeliveries(parts, c.get('caller'), { jobId, page: readPage(c) });
      setPagingHeaders(c, found.total);
      const object = found.deliveries.map((row) => toDelivery(row, c.get('timezone')));
      return send(c, { message: say(c, 'deliveries_received'), object, objectType: 'deliveries' });
    },
  );
  add(
    {
      method: 'get',
      path: '/delivery_api/{id}',
      operationId: 'getDelivery',
      summary: 'Shows a delivery and its tries',
      params: { id },
      query: { timezone },
      responses: { 200: { description: 'The delivery', schema: FullDeliveryMessage }, 404: notFound },
    },
    async (c) => {
      const delivery = await deliveries.getDelivery(parts, c.get('caller'), deliveryIdOf(c));
      const object = toFullDelivery(delivery, c.get('timezone'));
      return send(c, { message: say(c, 'delivery_received'), object, objectType: 'delivery' });
    },
  );
  add(
    {
      method: 'post',
      path: '/delivery_api/{id}/redeliver',
      operationId: 'redeliver',
      summary: 'Delivers a callback again',
      params: { id },
      responses: { 200: { description: 'It is queued' }, 404: notFound },
    },
    async (c) => {
      const deliveryId = deliveryIdOf(c);
      await deliveries.redeliver(parts, c.get('caller'), deliveryId);
      const message = say(c, 'delivery_queued', { id: deliveryId });
      return send(c, { message, object: {}, objectType: 'delivery' });
    },
  );
  const secret = { description: 'The secret', schema: CallbackSecretMessage };
  add(
    {
      method: 'get',
      path: '/callback_api/secret',
      operationId: 'getCallbackSecret',
      summary: 'Shows the secret that signs your callbacks',
      responses: { 200: secret },
    },
    async (c) => {
      const object = { secret: await deliveries.getCallbackSecret(parts, c.get('caller')) };
      return send(c, { message: say(c, 'callback_secret_received'), object, objectType: 'callbacksecret' });
    },
  );
  add(
    {
      method: 'post',
      path: '/callback_api/secret',
      operationId: 'replaceCallbackSecret',
      summary: 'Replaces the secret that signs your callbacks; the former signs nothing any more',
      responses: { 200: secret },
    },
    async (c) => {
      const object = { secret: await deliveries.replaceCallbackSecret(parts, c.get('caller')) };
      return send(c, { message: say(c, 'callback_secret_replaced'), object, objectType: 'callbacksecret' });
    },
  );
}

const deliveryIdOf = (c: Context<ApiEnv>) => pathIdOf(c, 'delivery_not_found');
