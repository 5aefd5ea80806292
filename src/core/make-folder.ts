import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/** With those above it, for the owner alone. One by one: Node's own recursive way never ends below `/proc`. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  mkdirSync(folder, { mode: 0o700 })
}
