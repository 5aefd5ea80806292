/** Gateways with one server behind a pipe: closed after each test, which must leave no process behind. */
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, expect } from 'vitest'
import { type RunningGateway, runGateway } from '../../support/gateway.ts'
import { stdioTarget } from '../../support/mcp.ts'
import { STDIO_SERVER } from './client.fixture.ts'

/** Those to close. */
export const open: RunningGateway[] = []
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close()
  // What a probe started may end a little later; see the last tests.
  await expect.poll(children, { timeout: 8000 }).toEqual([])
})

/** Processes that this one started for a target. */
export function children(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ')[1]
      return (
        parent === String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(STDIO_SERVER)
      )
    } catch {
      return false
    }
  })
}

/** `more`: of the target, `top`: beside the targets. */
export async function gatewayFor(mode: string, more = '', top = '') {
  const gateway = await runGateway(`
mcp:
  port: 0
${top}
  targets:
  - {name: one, ${stdioTarget(STDIO_SERVER, mode)}${more}}
`)
  open.push(gateway)
  return gateway
}
