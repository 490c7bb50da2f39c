import { listTags as listTagRows } from '../store/tags.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** The caller's tags; root has none. A tag that no job has any more stays, with a count of 0. */
export function listTags({ db }: ServiceParts, { userId }: Caller, page: Page) {
  return listTagRows(db, { userId, ...page });
}
