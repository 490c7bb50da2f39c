import type { Context, MiddlewareHandler } from 'hono';
import * as folders from '../../services/folders.ts';
import { send } from '../envelope.ts';
import { datesOf, pathIdOf, textOf } from '../inputs.ts';
import type { MessageKey } from '../messages/en.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation, type OperationResponse } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { idempotencyOf, setReplayed } from '../preconditions.ts';
import { deletedSince, id, idempotencyKey, page, pagingHeaders, perPage, replayHeaders } from '../schemas/common.ts';
import { FolderArrayMessage, SingleFolderMessage, toSingleFolder } from '../schemas/folders.ts';
import { JobArrayMessage } from '../schemas/jobs.ts';
import { sendJobs } from '../showJob.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const tag = 'Folders';
const aFolder: OperationResponse = { description: 'The folder', schema: SingleFolderMessage };
const notFound: OperationResponse = { description: 'Folder not found' };
const invalid: OperationResponse = { description: 'The name is taken, or the expression cannot be read' };
const rootRefused: OperationResponse = { description: 'The root user owns no folders' };
const name = z.string().openapi({ example: 'Nightly jobs', description: 'Unique for the user, ignoring case' });
const expression = z.string().openapi({ example: 'tag:nightly enabled', description: 'See docs/search.md' });

/** Folders are saved searches with a live count. */
export function addFolders(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  const add = (operation: Parameters<typeof addOperation>[1], handler: Parameters<typeof addOperation>[3]) =>
    addOperation(api, { ...operation, responses: { ...operation.responses, 403: rootRefused } }, guards, handler);

  add(
    {
      method: 'get',
      path: '/folder_api',
      operationId: 'getFolders',
      tag,
      summary: 'Lists folders with the number of jobs in each',
      query: { per_page: perPage, page },
      responses: { 200: { description: 'Folders', schema: FolderArrayMessage, headers: pagingHeaders } },
    },
    async (c) => {
      const found = await folders.listFolders(parts, c.get('caller'), { page: readPage(c), dates: datesOf(c) });
      setPagingHeaders(c, found.total);
      const object = found.folders.map(toSingleFolder);
      return send(c, { message: say(c, 'folders_received'), object, objectType: 'folderarray' });
    },
  );
  add(
    {
      method: 'post',
      path: '/folder_api',
      operationId: 'createFolder',
      tag,
      summary: 'Creates a folder',
      query: { name, expression },
      headers: { 'Idempotency-Key': idempotencyKey },
      responses: { 201: { ...aFolder, headers: replayHeaders }, 404: deletedSince, 422: invalid },
    },
    async (c) => {
      const folder = { name: '', expression: '', ...folderInputOf(c) };
      const request = { folder, dates: datesOf(c), idempotency: idempotencyOf(c) };
      const created = await folders.createFolder(parts, c.get('caller'), request);
      setReplayed(c, created.isReplay);
      return sendFolder(c, created.folder, { status: 201, key: 'folder_created' });
    },
  );
  add(
    {
      method: 'get',
      path: '/folder_api/{id}',
      operationId: 'getFolder',
      tag,
      summary: 'Shows a folder',
      params: { id },
      responses: { 200: aFolder, 404: notFound },
    },
    async (c) =>
      sendFolder(c, await folders.getFolder(parts, c.get('caller'), queryOf(c)), { key: 'folders_received' }),
  );
  for (const method of ['put', 'patch'] as const) {
    add(
      {
        method,
        path: '/folder_api/{id}',
        operationId: method === 'put' ? 'updateFolder' : 'patchFolder',
        tag,
        summary: 'Changes what is sent of a folder',
        params: { id },
        query: { name: name.optional(), expression: expression.optional() },
        responses: { 200: aFolder, 404: notFound, 422: invalid },
      },
      async (c) => {
        const change = { ...queryOf(c), changes: folderInputOf(c) };
        return sendFolder(c, await folders.updateFolder(parts, c.get('caller'), change), { key: 'folder_updated' });
      },
    );
  }
  add(
    {
      method: 'delete',
      path: '/folder_api/{id}',
      operationId: 'deleteFolder',
      tag,
      summary: 'Deletes a folder; its jobs stay',
      params: { id },
      responses: { 200: aFolder, 404: notFound },
    },
    async (c) =>
      sendFolder(c, await folders.deleteFolder(parts, c.get('caller'), queryOf(c)), { key: 'folder_deleted' }),
  );
  add(
    {
      method: 'get',
      path: '/folder_api/{id}/jobs',
      operationId: 'getFolderJobs',
      tag,
      summary: "Lists a folder's jobs by their next run",
      query: { per_page: perPage, page },
      params: { id },
      responses: {
        200: { description: 'Jobs', schema: JobArrayMessage, headers: pagingHeaders },
        404: notFound,
        422: { description: "The folder's expression cannot be read" },
      },
    },
    async (c) => {
      const query = { ...queryOf(c), page: readPage(c) };
      return sendJobs(c, await folders.getFolderJobs(parts, c.get('caller'), query));
    },
  );
}

const queryOf = (c: Context<ApiEnv>) => ({ id: pathIdOf(c, 'folder_not_found'), dates: datesOf(c) });

/** What was sent of a folder. */
function folderInputOf(c: Context<ApiEnv>): { name?: string; expression?: string } {
  const params = c.get('params');
  const [newName, newExpression] = [textOf(params, 'name'), textOf(params, 'expression')];
  return {
    ...(newName !== undefined && { name: newName }),
    ...(newExpression !== undefined && { expression: newExpression }),
  };
}

function sendFolder(
  c: Context<ApiEnv>,
  folder: folders.CountedFolder,
  { status = 200, key }: { status?: 200 | 201; key: MessageKey },
) {
  return send(c, {
    status,
    message: say(c, key, { id: folder.id }),
    object: toSingleFolder(folder),
    objectType: 'folder',
  });
}
