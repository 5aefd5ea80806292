/** Who may call: clients present one of the keys that the configuration lists. */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { fingerprint } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Secret, secret } from '../core/schema.ts'
import { wildcard } from '../core/wildcard.ts'
import {
  credentialLocation,
  credentialMode,
  credentialsAt,
  headerPlace,
  type Place,
  passesUnproven,
  placeOf,
  proven,
} from './credentials.ts'
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
    /** Names, or patterns with `*`; without it all models are. */
    allowedModels: z.array(z.string().min(1)).optional(),
  })
  .refine(({ key, keyHash: hashed }) => (key === undefined) !== (hashed === undefined), {
    error: 'expected either key or keyHash',
  })

export const apiKeySchema = z.strictObject({
  keys: z.array(keySchema).min(1, { error: 'expected at least one key' }),
  mode: credentialMode,
  location: credentialLocation.optional(),
})
export type ApiKeyConfig = z.output<typeof apiKeySchema>

/** Where clients of the APIs that we speak put theirs. */
const USUAL_PLACES = [headerPlace('authorization', 'Bearer '), headerPlace('x-api-key', '')]

type Metadata = Readonly<Record<string, unknown>>

interface Known {
  readonly metadata: Metadata
  /** Undefined where all models are allowed. */
  readonly allows: ((model: string) => boolean) | undefined
}

const MISSING = 'api key authentication failure: no API Key found'
const WRONG = 'api key authentication failure: invalid credentials'

/** Of a model's name, in an error. */
const SHOWN_LENGTH = 100

function allowing(patterns: readonly string[] | undefined): Known['allows'] {
  if (patterns === undefined) return undefined
  const tests = patterns.map(wildcard)
  return (model) => tests.some((fits) => fits(model))
}

const digest = (key: string) => hash('sha256', key)

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

function identify(exchange: Exchange, hashed: string, { user, name, owner, group }: Metadata): void {
  exchange.key = fingerprint(hashed)
  exchange.user = textOf(user) ?? textOf(name) ?? textOf(owner)
  exchange.group = textOf(group)
}

/** `readSecret` returns a file's trimmed content. */
export function apiKey(config: ApiKeyConfig, readSecret: (value: Secret, index: number) => string): Policy {
  // By hash: looking one up tells nothing by the time it takes.
  const known = new Map<string, Known>(
    config.keys.map(({ key, keyHash: hashed, metadata = {}, allowedModels }, index) => [
      key === undefined ? (hashed ?? '').slice('sha256:'.length) : digest(readSecret(key, index)),
      { metadata, allows: allowing(allowedModels) },
    ]),
  )
  const places: readonly Place[] = config.location === undefined ? USUAL_PLACES : [placeOf(config.location)]
  const expected = places.map(({ described }) => described).join(' or ')

  return {
    onRequest(head) {
      const { exchange } = head
      let isPresent = false
      let found: { readonly hashed: string; readonly owner: Known } | undefined
      for (const place of places) {
        const [key, another] = credentialsAt(head, place)
        if (key === undefined) continue
        isPresent = true
        const hashed = digest(key)
        const owner = another === undefined ? known.get(hashed) : undefined
        // What was checked is for us alone.
        if (owner !== undefined || another !== undefined) place.removeFrom(head)
        if (owner !== undefined) found ??= { hashed, owner }
      }
      // Only what was checked says who it is: another credential of the request is the client's own word.
      if (found !== undefined) {
        const { metadata, allows } = found.owner
        identify(exchange, found.hashed, metadata)
        proven(head, 'apiKey', found.hashed)
        head.apiKey = metadata
        head.allowsModel = allows
      } else if (!passesUnproven(config.mode, isPresent)) {
        exchange.key = undefined
        throw new GatewayError('unauthenticated', isPresent ? WRONG : `${MISSING}, expected ${expected}`, {
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      return undefined
    },
    onModelRequest({ allowsModel }, { model }) {
      if (allowsModel === undefined || (model !== undefined && allowsModel(model))) return
      const named =
        model === undefined ? 'a request that names no model' : `model ${model.slice(0, SHOWN_LENGTH)}`
      throw new GatewayError('model_not_allowed', `${named} is not allowed for this API key`)
    },
  }
}
