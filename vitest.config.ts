import { defineConfig } from 'vitest/config';

// Unit tests stand beside the source. They share one module graph per worker (no isolation): pure rooms need none, and it is ten times faster.
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts', 'test/corpus/**/*.test.ts', 'test/conformance/**/*.test.ts'],
    isolate: false,
    pool: 'threads',
    testTimeout: 20_000,
    reporters: process.env['CI'] ? ['dot'] : ['default'],
  },
});
