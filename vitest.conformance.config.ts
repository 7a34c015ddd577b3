import { defineConfig } from 'vitest/config';

// Istio's own cases against our rooms. They need the corpora (MELTEMI_CONFORMANCE); without them every suite says that it is skipped.
export default defineConfig({
  test: { include: ['test/conformance/**/*.test.ts'], isolate: false, pool: 'threads', testTimeout: 20_000, passWithNoTests: false },
});
