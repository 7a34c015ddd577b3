/** Lists in pages: one moment, however much is written meanwhile. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CONFIG_MAP } from '../../../objects/resource-types.ts';
import { openMemoryStore } from '../store/memory.ts';
import { startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;
beforeEach(async () => void (server = await startTestServer({ store: openMemoryStore(100) })));
afterEach(() => server.close());

interface Page {
  readonly items: readonly { readonly metadata: { readonly name: string }; readonly data: { readonly n: string } }[];
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string; readonly remainingItemCount?: number };
}
const put = (name: string, n: string) => server.client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data: { n } });
const change = (name: string, n: string) => server.client.mergePatch(CONFIG_MAP, name, 'default', { data: { n } });
const get = (query: string) => server.fetch(`/api/v1/namespaces/default/configmaps?${query}`);
const page = async (query: string): Promise<Page> => JSON.parse((await get(query)).body) as Page;
const shown = ({ items }: Page) => items.map((item) => `${item.metadata.name}=${item.data.n}`);

test('pages show one moment under writes', async () => {
  for (const name of ['a', 'b', 'd', 'e', 'f']) await put(name, '1');
  const first = await page('limit=2');
  expect(shown(first)).toEqual(['a=1', 'b=1']);
  expect(first.metadata.remainingItemCount).toBe(3);
  await put('c', '1');
  await change('e', '2');
  await change('e', '3');
  await server.client.delete(CONFIG_MAP, 'd', 'default');
  await server.client.delete(CONFIG_MAP, 'f', 'default');
  await put('f', 'new');
  const second = await page(`limit=2&continue=${first.metadata.continue!}`);
  expect(shown(second)).toEqual(['d=1', 'e=1']);
  expect(second.metadata).toMatchObject({ remainingItemCount: 1, resourceVersion: first.metadata.resourceVersion });
  const third = await page(`limit=2&continue=${second.metadata.continue!}`);
  expect(shown(third)).toEqual(['f=1']);
  expect(third.metadata.continue).toBeUndefined();
  expect(shown(await page(`resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`))).toEqual(['a=1', 'b=1', 'd=1', 'e=1', 'f=1']);
  expect(shown(await page(`resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=NotOlderThan`))).toEqual(['a=1', 'b=1', 'c=1', 'e=3', 'f=new']);
  expect(shown(await page(`resourceVersion=${first.metadata.resourceVersion}&limit=3`))).toEqual(['a=1', 'b=1', 'd=1']);
});

test('a page that is too old says how to go on with what is there now', async () => {
  for (const name of ['a', 'b', 'c']) await put(name, '1');
  const first = await page('limit=1');
  for (let index = 0; index < 300; index++) await change('c', String(index));
  const late = await get(`limit=1&continue=${first.metadata.continue!}`);
  expect(late.status).toBe(410);
  const status = JSON.parse(late.body) as { reason: string; metadata: { continue: string } };
  expect(status.reason).toBe('Expired');
  const next = await page(`limit=1&continue=${status.metadata.continue}`);
  expect(shown(next)).toEqual(['b=1']);
  expect(shown(await page(`continue=${next.metadata.continue!}`))).toEqual(['c=299']);
  expect((await get(`resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`)).status).toBe(410);
});

test.each([
  ['resourceVersion=99999999', 504, 'Too large resource version'],
  ['watch=1&resourceVersion=99999999', 504, 'Too large resource version'],
  ['resourceVersion=x', 400, 'invalid syntax'],
  ['continue=x', 400, 'continue key is not valid'],
  ['resourceVersionMatch=Exact', 422, 'resourceVersionMatch is forbidden unless resourceVersion is provided'],
  ['resourceVersionMatch=Exact&resourceVersion=0', 422, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
  ['resourceVersionMatch=Newer&resourceVersion=1', 422, 'Unsupported value: "Newer"'],
  ['watch=1&resourceVersionMatch=Exact&resourceVersion=1', 422, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'],
  ['watch=1&sendInitialEvents=true', 422, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
])('%s is refused', async (query, code, text) => {
  const answer = await get(query);
  expect(answer.status).toBe(code);
  expect((JSON.parse(answer.body) as { message: string }).message).toContain(text);
});
