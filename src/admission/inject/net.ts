/** 4, 6, or 0 when the text is no IP address. Without node:net, so that this room stays pure. */
export function isIP(text: string): 0 | 4 | 6 {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split('.').every((part) => Number(part) <= 255) ? 4 : 0;
  if (!/^[0-9a-fA-F:]+(\d{1,3}(\.\d{1,3}){3})?$/.test(text) || !text.includes(':')) return 0;
  const halves = text.split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (halves.length > 2 || groups.some((group) => group.length > 4 && !group.includes('.'))) return 0;
  return halves.length === 2 ? (groups.length <= 7 ? 6 : 0) : groups.length === 8 ? 6 : 0;
}
