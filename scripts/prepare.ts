/** After `npm ci` in a checkout: builds the console, so that the first start can show it. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Without the tools of development there is nothing to build with, and nobody who would.
if (existsSync(`${root}node_modules/vite`))
  execFileSync('npm', ['run', '-s', 'build:ui'], { cwd: root, stdio: 'inherit' })
