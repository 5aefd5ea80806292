/** Adds, sets and removes headers, of the request or of the response. Gateway API's HTTPHeaderFilter. */
import { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import type { Policy } from './policy.ts'

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'not a header name' })
const headerValue = z
  .string()
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: 'a header value is one line of printable characters' })

export const headerModifierSchema = z.strictObject({
  add: z.record(headerName, headerValue).optional(),
  set: z.record(headerName, headerValue).optional(),
  remove: z.array(headerName).optional(),
})

type HeaderModifier = z.output<typeof headerModifierSchema>

function compile(config: HeaderModifier): (headers: Headers) => void {
  const lower = (record: Record<string, string> = {}) =>
    Object.entries(record).map(([name, value]) => [name.toLowerCase(), value] as const)
  const set = lower(config.set)
  const add = lower(config.add)
  const remove = (config.remove ?? []).map((name) => name.toLowerCase())
  return (headers) => {
    for (const [name, value] of set) headers[name] = value
    for (const [name, value] of add) headers[name] = [headers[name] ?? [], value].flat()
    for (const name of remove) delete headers[name]
  }
}

export function requestHeaderModifier(config: HeaderModifier): Policy {
  const modify = compile(config)
  return {
    onRequest(head) {
      modify(head.headers)
      const { host } = head.headers
      if (typeof host === 'string' && config.set !== undefined) head.authority = host
      return undefined
    },
  }
}

export function responseHeaderModifier(config: HeaderModifier): Policy {
  return { onResponse: compile(config) }
}
