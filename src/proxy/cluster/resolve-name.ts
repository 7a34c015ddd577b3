import { lookup } from 'node:dns/promises';

/** Resolves one name to IP addresses; rejects when it cannot. */
export type ResolveName = (name: string, family: 0 | 4 | 6) => Promise<readonly string[]>;

/** The system's resolver (getaddrinfo: `/etc/hosts`, search domains). */
export const systemResolve: ResolveName = async (name, family) => (await lookup(name, { all: true, family })).map(({ address }) => address);
