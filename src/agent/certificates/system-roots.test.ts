import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { systemRoots } from './system-roots.ts';

describe('system roots', () => {
  it('takes the first bundle that has certificates', () => {
    const empty = join(tmpdir(), `roots-empty-${process.pid}`);
    const full = join(tmpdir(), `roots-full-${process.pid}`);
    writeFileSync(empty, '');
    writeFileSync(full, '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n');
    expect(systemRoots(['/nowhere', empty, full])).toContain('\nx\n');
  });
  it('falls back to the list of Node', () => expect(systemRoots([]).match(/BEGIN CERTIFICATE/g)!.length).toBeGreaterThan(50));
});
