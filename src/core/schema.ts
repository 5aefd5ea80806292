/** Shapes that several stages' configuration schemas share. */
import { z } from 'zod'

const UNITS_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
const GO_DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/

/** A Go duration (`500ms`, `1m30s`) as milliseconds; `0s` means "no limit" wherever a limit is asked for. */
export const durationMs = z
  .string()
  .regex(GO_DURATION, { error: 'expected a duration such as 500ms, 10s, 1m30s or 2h' })
  .transform((text) => {
    let total = 0
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
      total += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0)
    }
    return total
  })

/** A secret, inline or in a file (read at load, trimmed, watched for changes). */
export const secret = z.union([z.string().min(1), z.strictObject({ file: z.string().min(1) })])
export type Secret = z.output<typeof secret>

/** Where to listen: `off`, or a host and port. `undefined` host means all interfaces. Port 0 takes a free one. */
export type Address = { readonly host: string | undefined; readonly port: number } | 'off'

/** `ip:port`, `[ip]:port`, `localhost:port`, `:port` or `off`. */
export const address = z
  .string()
  .regex(/^(off|(\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5})$/, { error: 'expected ip:port, localhost:port or off' })
  .transform((text, context): Address => {
    if (text === 'off') return 'off'
    const colon = text.lastIndexOf(':')
    const port = Number(text.slice(colon + 1))
    if (port > 65535) {
      context.issues.push({ code: 'custom', message: 'a port is at most 65535', input: text })
      return z.NEVER
    }
    const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
    return { host: host === '' ? undefined : host, port }
  })

/** `host:port` of an upstream. */
export const endpoint = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/, {
  error: 'expected host:port, for example api.openai.com:443',
})

/** An object that may also be written as nothing (`openAI:`). */
export function orEmpty<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? {}, schema)
}
