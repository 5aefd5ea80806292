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

/** What a timer of Node.js can hold: 24 days and some hours. Beyond it, it would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

/** A Go duration (`500ms`, `1m30s`) as milliseconds; `0s` means "no limit" wherever a limit is asked for. */
export const durationMs = z
  .string()
  .regex(GO_DURATION, { error: 'expected a duration such as 500ms, 10s, 1m30s or 2h' })
  .transform((text, context) => {
    let total = 0
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
      total += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0)
    }
    if (total <= LONGEST_MS) return total
    context.issues.push({
      code: 'custom',
      message: 'a duration is at most 596h; 0s means no limit',
      input: text,
    })
    return z.NEVER
  })

/** Days too, as nothing waits for it: `30d`, `12h`, `1d12h`. */
export const longDurationMs = z
  .string()
  .regex(/^(?:\d+(?:\.\d+)?[dhms])+$/, { error: 'expected a duration such as 12h, 30d or 1d12h' })
  .transform((text) => {
    const units: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 }
    return [...text.matchAll(/(\d+(?:\.\d+)?)([dhms])/g)].reduce(
      (sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? 0),
      0,
    )
  })

/** `500MiB`, `2GiB`, `1GB`, or a number of bytes. */
export const byteSize = z.union([
  z.int().nonnegative(),
  z
    .string()
    .regex(/^\d+(?:\.\d+)?\s*(?:[KMGT]i?B|B)$/, { error: 'expected a size such as 500MiB or 2GiB' })
    .transform((text) => {
      const [, amount, prefix = '', binary] = /^([\d.]+)\s*([KMGT]?)(i?)B$/.exec(text) ?? []
      return Math.round(Number(amount) * (binary === 'i' ? 1024 : 1000) ** ' KMGT'.indexOf(prefix || ' '))
    }),
])

/** https://www.rfc-editor.org/rfc/rfc9110#section-5.1 */
export const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'not a header name' })
export const headerValue = z
  .string()
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: 'a header value is one line of printable characters' })

/** A secret, inline or in a file (read at load, trimmed, watched for changes). */
/** On one line, for it becomes a header. */
const ONE_LINE = /^[\t\x20-\x7e\x80-\xff]+$/
export const isHeaderValue = (text: string) => ONE_LINE.test(text)

export const secret = z.union([
  z.string().regex(ONE_LINE, { error: 'a secret is one line of printable characters' }),
  z.strictObject({ file: z.string().min(1) }),
])
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

/** How many processes serve requests: a number, a share of the processors (`50%`), or `auto`, one for each. */
export const workerThreads = z
  .union([z.int(), z.string()])
  .refine((value) => WORKER_THREADS.test(String(value)), {
    error: 'expected a number from 1 to 256, auto, or a share of the processors such as 50%',
  })
export type WorkerThreads = z.output<typeof workerThreads>

const WORKER_THREADS = /^(?:auto|0*(?:[1-9]\d?|100)%|0*(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-6]))$/

export function workerCount(threads: WorkerThreads, processors: number): number {
  if (threads === 'auto') return processors
  const text = String(threads)
  return text.endsWith('%')
    ? Math.max(1, Math.floor((processors * Number.parseInt(text, 10)) / 100))
    : Number(text)
}

/** `host:port` of an upstream. */
export const endpoint = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/, {
    error: 'expected host:port, for example api.openai.com:443',
    abort: true,
  })
  .refine(
    (text) => {
      const port = Number(text.slice(text.lastIndexOf(':') + 1))
      return port >= 1 && port <= 65_535
    },
    { error: 'a port is 1 to 65535' },
  )

export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
  .regex(/^[\x21-\x7e]+$/, { error: 'a URL has neither spaces nor characters beyond ASCII' })

/** An object that may also be written as nothing (`openAI:`). */
export function orEmpty<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? {}, schema)
}
