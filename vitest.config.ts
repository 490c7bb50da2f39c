import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Each file has a process of its own, which starts sooner with these.
    execArgv: ['--import', fileURLToPath(new URL('src/platform/quickImports.ts', import.meta.url))],
    globalSetup: ['test/support/globalSetup.ts'],
    // No test is about these: a slow machine has time, and what hangs ends.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two files at a time: tests start processes of their own, and CI has two cores.
    maxWorkers: 2,
  },
});
