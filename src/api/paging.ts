import type { Context } from 'hono';
import type { Page } from '../services/services.ts';
import { originOf } from './origin.ts';
import type { ApiEnv } from './types.ts';

const PER_PAGE = { default: 25, max: 1000 };
/** Further than any list goes, and far from what an OFFSET cannot hold. */
const PAGE_MAX = 1_000_000_000;

/** The page asked for; numbers that make no sense fall back to the defaults. */
export function readPage(c: Context<ApiEnv>): Page {
  const { page, perPage } = numbersOf(c);
  return { limit: perPage, offset: (page - 1) * perPage };
}

function numbersOf(c: Context<ApiEnv>): { page: number; perPage: number } {
  const params = c.get('params');
  const page = wholeNumber(params['page']);
  const perPage = wholeNumber(params['per_page']);
  return {
    page: page !== null && page <= PAGE_MAX ? page : 1,
    perPage: perPage === null ? PER_PAGE.default : Math.min(perPage, PER_PAGE.max),
  };
}

/** A number from 1; null for what makes no sense. */
export function wholeNumber(value: unknown): number | null {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  const number = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return number > 0 ? number : null;
}

/** `Total`, `Per-Page` and, where there is more than one page, `Link` with the links that apply. */
export function setPagingHeaders(c: Context<ApiEnv>, total: number): void {
  const { page, perPage } = numbersOf(c);
  c.header('Total', String(total));
  c.header('Per-Page', String(perPage));
  const last = Math.max(1, Math.ceil(total / perPage));
  if (last === 1) return;
  const links = [
    ...(page > 1 ? [link(c, 'first', 1), link(c, 'prev', Math.min(page - 1, last))] : []),
    ...(page < last ? [link(c, 'last', last), link(c, 'next', page + 1)] : []),
  ];
  if (links.length > 0) c.header('Link', links.join(', '));
}

function link(c: Context, relation: string, page: number): string {
  const url = new URL(c.req.url);
  const query = new URLSearchParams(url.search);
  query.set('page', String(page));
  return `<${originOf(c)}${url.pathname}?${query.toString()}>; rel="${relation}"`;
}
