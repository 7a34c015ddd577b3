import { expect, test } from 'vitest';
import { withoutPort } from './address.ts';

test.each([['10.0.0.1:80', '10.0.0.1'], ['10.0.0.1', '10.0.0.1'], ['[fd00::1]:80', 'fd00::1'], ['[fd00::1]', 'fd00::1'], ['fd00::1', 'fd00::1'], ['/run/socket', '/run/socket']])('%s has the IP %s', (address, ip) => expect(withoutPort(address)).toBe(ip));
