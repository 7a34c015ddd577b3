// What runs in the pod of `meltemi attach`: PORT and SOCKET; every connection goes on through the socket to the command line program outside, and from there to the developer's.
import { connect, createServer } from 'node:net';
import { join } from '../local/host-relay.ts';

const [port, socket] = process.argv.slice(2);
if (port === undefined || socket === undefined) {
  process.stderr.write('usage: attach-relay PORT SOCKET\n');
  process.exit(1);
}
createServer({ allowHalfOpen: true, noDelay: true }, (client) => join(client, connect({ path: socket, allowHalfOpen: true }))).listen(Number(port));
