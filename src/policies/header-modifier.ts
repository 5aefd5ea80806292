/** Adds, sets and removes headers, of the request or of the response. Gateway API's HTTPHeaderFilter. */
import { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import { headerName, headerValue } from '../core/schema.ts'
import type { Policy } from './policy.ts'

export const headerModifierSchema = z.strictObject({
  add: z.record(headerName, headerValue).optional(),
  set: z.record(headerName, headerValue).optional(),
  remove: z.array(headerName).optional(),
})

type HeaderModifier = z.output<typeof headerModifierSchema>

/** The change itself, for whoever has headers and no policy chain. */
export function modifyHeaders(config: HeaderModifier): (headers: Headers) => void {
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
  const modify = modifyHeaders(config)
  // Among the headers the client's own Host always is: only one that is configured is for the upstream.
  const [, host] = Object.entries(config.set ?? {}).find(([name]) => name.toLowerCase() === 'host') ?? []
  return {
    onRequest(head) {
      modify(head.headers)
      if (host !== undefined) head.authority = host
      return undefined
    },
  }
}

export function responseHeaderModifier(config: HeaderModifier): Policy {
  return { onResponse: modifyHeaders(config) }
}
