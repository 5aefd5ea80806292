/** Where the code of our worker threads is: the sources run as they are in development, and compiled in the package. */
import { setFlagsFromString } from 'node:v8'

/**
 * Node strips the types of sources in WebAssembly, in each thread anew. Where several threads do, V8 ended the process
 * in about every fourth run of the store's tests ("Check failed: jit_page.has_value()"), and in none without these.
 */
const CALM_WASM = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering', '--no-wasm-code-gc']

/** `beside`: the `import.meta.url` of a file in the same folder. */
export function workerUrl(name: string, beside: string): URL {
  const isSource = beside.endsWith('.ts')
  if (isSource) for (const flag of CALM_WASM) setFlagsFromString(flag)
  return new URL(`./${name}.${isSource ? 'ts' : 'js'}`, beside)
}
