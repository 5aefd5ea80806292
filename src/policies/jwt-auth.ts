/**
 * Who may call: clients with a token of an identity provider. https://www.rfc-editor.org/rfc/rfc6750
 *
 * A token of theirs is dropped before the request goes on: upstreams could use it as their own.
 */
import { hash } from 'node:crypto'
import { decodeJwt, type LocalJWKSet } from 'jose'
import { z } from 'zod'
import { bearerChallenge, tokenIn } from '../core/bearer-token.ts'
import { fingerprint } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Kept } from '../core/keep-fresh.ts'
import { type KeySource, keySourceSchema } from '../core/key-set.ts'
import { tokenVerifier, withoutSlash } from '../core/verify-token.ts'
import { credentialLocation, credentialMode, passesUnproven, placeOf, proven } from './credentials.ts'
import type { Policy, RequestHead } from './policy.ts'

const providerShape = {
  issuer: z.string().min(1),
  audiences: z.array(z.string().min(1)).min(1, { error: 'name at least one audience' }).optional(),
  jwks: keySourceSchema,
  jwtValidationOptions: z
    .strictObject({ requiredClaims: z.array(z.string().min(1)).default(['exp']) })
    .default({ requiredClaims: ['exp'] }),
}
const policyShape = {
  mode: credentialMode,
  location: credentialLocation.default({ header: { name: 'authorization', prefix: 'Bearer ' } }),
}
const providerSchema = z.strictObject(providerShape)
type Provider = z.output<typeof providerSchema>

const issuersOf = (providers: readonly Provider[]) =>
  new Set(providers.map(({ issuer }) => withoutSlash(issuer)))

export const jwtAuthSchema = z.union([
  z.strictObject({ ...policyShape, ...providerShape }),
  z.strictObject({
    ...policyShape,
    providers: z
      .array(providerSchema)
      .min(1, { error: 'expected at least one provider' })
      .refine((providers) => issuersOf(providers).size === providers.length, {
        error: 'an issuer stands here twice: its tokens could not be told apart',
      }),
  }),
])
export type JwtAuthConfig = z.output<typeof jwtAuthSchema>

const MISSING = 'no bearer token found'

type Claims = Readonly<Record<string, unknown>>

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

function identify(exchange: Exchange, { iss, sub, email, groups }: Claims): void {
  exchange.user = textOf(sub) ?? textOf(email)
  exchange.group = Array.isArray(groups) ? textOf(groups[0]) : undefined
  // Of whose it is: the token itself is another one each hour.
  exchange.key = fingerprint(hash('sha256', JSON.stringify([iss, sub ?? email])))
}

/** By the token's own word: its signature decides whether that is true. */
function issuerOf(token: string): string | undefined {
  try {
    return withoutSlash(decodeJwt(token).iss ?? '')
  } catch {
    return undefined
  }
}

/** `keysOf` is asked once for each provider; `now` in milliseconds since the epoch. */
export function jwtAuth(
  config: JwtAuthConfig,
  keysOf: (source: KeySource, index: number) => Kept<LocalJWKSet>,
  now: () => number,
): Policy {
  const providers = 'providers' in config ? config.providers : [config]
  const verifiers = providers.map((provider, index) => ({
    issuer: withoutSlash(provider.issuer),
    verify: tokenVerifier(provider, keysOf(provider.jwks, index), now),
  }))
  const place = placeOf(config.location)

  function refuse({ exchange }: RequestHead, reason: string | undefined): undefined {
    if (passesUnproven(config.mode, reason !== undefined)) return undefined
    exchange.key = undefined
    throw new GatewayError('unauthenticated', `authentication failure: ${reason ?? MISSING}`, {
      headers: { 'www-authenticate': bearerChallenge(reason) },
    })
  }

  async function judge(head: RequestHead, token: string): Promise<undefined> {
    const issuer = issuerOf(token)
    const verifier = verifiers.find((one) => one.issuer === issuer)
    // What says that it is for us is for us alone, right or wrong.
    if (verifier !== undefined) place.removeFrom(head)
    // One that no provider has issued is refused by whichever is asked.
    const verdict = await (verifier ?? verifiers[0])?.verify(token)
    if (verdict?.kind === 'valid') {
      const { claims } = verdict
      const { iss, sub, azp, client_id } = claims
      identify(head.exchange, claims)
      proven(head, 'jwt', [iss, sub ?? azp ?? client_id])
      head.jwt = claims
      return undefined
    }
    if (verdict?.kind !== 'unavailable') return refuse(head, verdict?.reason)
    if (config.mode === 'permissive') return undefined
    throw new GatewayError('keys_unavailable', 'the keys to check tokens with cannot be fetched', {
      cause: verdict.cause,
      headers: { 'retry-after': '5' },
    })
  }

  return {
    onRequest(head) {
      const values = place.valuesIn(head)
      const presented = tokenIn(values, place.prefix)
      if (values.length > 1) place.removeFrom(head)
      switch (presented.kind) {
        case 'none':
          return refuse(head, undefined)
        case 'malformed':
          return refuse(head, presented.reason)
        case 'token':
          return judge(head, presented.token)
      }
    },
  }
}
