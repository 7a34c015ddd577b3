/** Query parameters as the handlers need them. */
import type { IncomingMessage } from 'node:http';
import type { UserInfo } from '../auth/user.ts';
import type { WriteContext } from '../rest/context.ts';
import type { ListQuery } from '../rest/read.ts';
import { badRequest } from '../status.ts';
import type { WatchQuery } from './watch.ts';

const flag = (query: URLSearchParams, name: string): boolean => ['true', '1'].includes(query.get(name) ?? '');

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return Number(text);
}

export function listQuery(query: URLSearchParams): ListQuery {
  const text = (name: 'labelSelector' | 'fieldSelector' | 'continue' | 'resourceVersion' | 'resourceVersionMatch') => (query.get(name) ? { [name]: query.get(name)! } : {});
  const limit = numberOf(query, 'limit');
  return { ...text('labelSelector'), ...text('fieldSelector'), ...text('continue'), ...text('resourceVersion'), ...text('resourceVersionMatch'), ...(limit === undefined ? {} : { limit }) };
}

export const isWatch = (query: URLSearchParams): boolean => flag(query, 'watch');
export const isForced = (query: URLSearchParams): boolean => flag(query, 'force');

export function watchQuery(query: URLSearchParams): WatchQuery {
  const { labelSelector, fieldSelector } = listQuery(query);
  const timeoutSeconds = numberOf(query, 'timeoutSeconds');
  return {
    ...(labelSelector ? { labelSelector } : {}),
    ...(fieldSelector ? { fieldSelector } : {}),
    resourceVersion: query.get('resourceVersion') ?? '',
    bookmarks: flag(query, 'allowWatchBookmarks'),
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    sendInitialEvents: flag(query, 'sendInitialEvents'),
    ...(timeoutSeconds ? { timeoutSeconds } : {}),
  };
}

/** The context of a write. The field manager defaults to the first word of the user agent. */
export function writeContext(request: IncomingMessage, query: URLSearchParams, user: UserInfo): WriteContext {
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  const validation = query.get('fieldValidation') || 'Warn';
  if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') throw badRequest(`fieldValidation: Unsupported value: "${validation}": supported values: "Ignore", "Strict", "Warn"`);
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0]!.slice(0, 128);
  return { user, fieldManager: query.get('fieldManager') || agent, dryRun: dryRun.length > 0, fieldValidation: validation, warnings: [] };
}
