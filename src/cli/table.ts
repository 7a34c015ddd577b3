/** Tables as Go's tabwriter and kubectl print them: every column as wide as its widest cell plus padding, the last one as it is. */

export type Row = readonly string[];

/** Lines of a table; `padding` is the number of spaces after the widest cell of a column. Default 5, istioctl's. */
export function formatTable(header: Row, rows: readonly Row[], padding = 5): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)) + padding);
  return all.map((row) => `${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('')}\n`).join('');
}
