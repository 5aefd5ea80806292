/**
 * The command and its worker threads, in `dist/cli`, as few files: each file that Node has to find, read and link costs the
 * start a part of a millisecond, and there were nine hundred.
 *
 * All lie in one folder, as deep as the folders of `src`: `import.meta.url` leads to the same places from there.
 */
import { defineConfig } from 'rolldown'

const FOLDER = 'cli'

export default defineConfig({
  input: {
    agentgateway: 'src/cli/agentgateway.ts',
    'worker-process': 'src/cli/worker-process.ts',
    'store-worker': 'src/store/store-worker.ts',
    'password-worker': 'src/policies/password-worker.ts',
    'tokenizer-worker': 'src/usage/tokenizer-worker.ts',
  },
  platform: 'node',
  // Large, and loaded when something needs them, if it does.
  external: ['@grpc/grpc-js', /^gpt-tokenizer/, 'pg'],
  output: {
    dir: 'dist',
    cleanDir: true,
    format: 'esm',
    entryFileNames: `${FOLDER}/[name].js`,
    chunkFileNames: `${FOLDER}/[name]-[hash].js`,
  },
})
