/** Who may call: clients present one of the keys that the configuration lists. */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { fingerprint } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { headerName, headerValue, type Secret, secret } from '../core/schema.ts'
import type { Policy } from './policy.ts'

/** What a hash in the configuration looks like: `printf %s "$KEY" | sha256sum`. */
const keyHash = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, { error: 'expected sha256: and 64 hexadecimal digits in lower case' })

const keySchema = z
  .strictObject({
    key: secret.optional(),
    keyHash: keyHash.optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(({ key, keyHash: hashed }) => (key === undefined) !== (hashed === undefined), {
    error: 'expected either key or keyHash',
  })

export const apiKeySchema = z.strictObject({
  keys: z.array(keySchema).min(1, { error: 'expected at least one key' }),
  /**
   * `strict`: no request without a valid key. `optional`: a request may bring none, but no wrong one. `permissive`:
   * all pass.
   */
  mode: z.enum(['strict', 'optional', 'permissive']).default('strict'),
  location: z
    .strictObject({ header: z.strictObject({ name: headerName, prefix: headerValue.optional() }) })
    .optional(),
})
export type ApiKeyConfig = z.output<typeof apiKeySchema>

/** Where clients of the APIs that we speak put theirs. */
const USUAL_PLACES = [
  { header: 'authorization', prefix: 'Bearer ' },
  { header: 'x-api-key', prefix: '' },
] as const

interface Place {
  readonly header: string
  readonly prefix: string
}

type Metadata = Readonly<Record<string, unknown>>

const MISSING = 'api key authentication failure: no API Key found'
const WRONG = 'api key authentication failure: invalid credentials'

const digest = (key: string) => hash('sha256', key)

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

function identify(exchange: Exchange, hashed: string, { user, name, owner, group }: Metadata): void {
  exchange.key = fingerprint(hashed)
  exchange.user = textOf(user) ?? textOf(name) ?? textOf(owner)
  exchange.group = textOf(group)
}

/** Undefined where the header is not there, or holds something of another scheme. */
function keyAt(headers: Headers, { header, prefix }: Place): string | undefined {
  const value = headers[header]
  if (typeof value !== 'string' || !value.toLowerCase().startsWith(prefix.toLowerCase())) return undefined
  return value.slice(prefix.length).trim()
}

/** `readSecret` returns a file's trimmed content. */
export function apiKey(config: ApiKeyConfig, readSecret: (value: Secret, index: number) => string): Policy {
  // By hash: looking one up tells nothing by the time it takes.
  const known = new Map<string, Metadata>(
    config.keys.map(({ key, keyHash: hashed, metadata = {} }, index) => [
      key === undefined ? (hashed ?? '').slice('sha256:'.length) : digest(readSecret(key, index)),
      metadata,
    ]),
  )
  const header = config.location?.header
  const places: readonly Place[] =
    header === undefined ? USUAL_PLACES : [{ header: header.name.toLowerCase(), prefix: header.prefix ?? '' }]
  const expected = places.map((place) => `${place.header}: ${place.prefix}KEY`).join(' or ')

  return {
    onRequest(head) {
      const { headers, exchange } = head
      let isPresent = false
      let found: { readonly hashed: string; readonly metadata: Metadata } | undefined
      for (const place of places) {
        const key = keyAt(headers, place)
        if (key === undefined) continue
        isPresent = true
        const hashed = digest(key)
        const metadata = known.get(hashed)
        if (metadata === undefined) continue
        found ??= { hashed, metadata }
        // What was checked is for us alone.
        delete headers[place.header]
      }
      // Only what was checked says who it is: another credential of the request is the client's own word.
      if (found !== undefined) {
        identify(exchange, found.hashed, found.metadata)
        head.apiKey = found.metadata
      } else if (config.mode === 'strict' || (config.mode === 'optional' && isPresent)) {
        exchange.key = undefined
        throw new GatewayError('unauthenticated', isPresent ? WRONG : `${MISSING}, expected ${expected}`, {
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      return undefined
    },
  }
}
