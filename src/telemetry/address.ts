/** The IP of `10.0.0.1:80` or `[::1]:80`; an address without a port stays, brackets go. */
export function withoutPort(address: string): string {
  return address.replace(/(^[^:]*|\]):\d+$/, '$1').replace(/^\[(.*)\]$/, '$1');
}
