/** `proxy-config ecds`: filters that are discovered on their own. */
import { formatTable } from '../table.ts';
import { at, textOf, type ConfigDump } from './dump.ts';

/** Names and types, by type and name. */
export function ecdsTable(dump: ConfigDump): string {
  const rows = dump.extensionConfigs.map((config) => [textOf(config['name']), textOf(at(config, ['typedConfig', '@type'])).replace(/^type\.googleapis\.com\//, '')] as const);
  const order = rows.toSorted(([name, type], [otherName, otherType]) => (type === otherType ? (name < otherName ? -1 : 1) : type < otherType ? -1 : 1));
  return formatTable(['ECDS NAME', 'TYPE'], order);
}
