#!/usr/bin/env node
/** The command's entry: says what is wrong on a Node.js that is too old, instead of failing on an import. */
const NEEDED = 24
const [major = '0'] = process.versions.node.split('.')

if (Number(major) < NEEDED) {
  process.stderr.write(`agentgateway needs Node.js ${NEEDED} or newer, this is ${process.versions.node}\n`)
  process.exitCode = 2
} else {
  // What Node compiles of the sources is kept in a temporary folder: the next start is faster.
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  await import('./main.ts')
}
