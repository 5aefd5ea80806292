/**
 * Node keeps what it has compiled, TypeScript too, beside the packages: the tests start some hundred processes, and
 * each would compile the same modules again. To be imported before the first of them starts.
 */
import { fileURLToPath } from 'node:url'

process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
  new URL('../../node_modules/.cache/node-compile', import.meta.url),
)
