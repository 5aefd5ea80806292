/** An identity provider without a network, keys and tokens of its own, and a clock that stands still. */
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { z } from 'zod'
import { type McpAuthentication, mcpAuthentication } from './authentication.ts'
import type { McpAuthenticationDependencies } from './dependencies.ts'
import { mcpAuthenticationSchema } from './schema.ts'
import type { WellKnownRequest } from './well-known.ts'

export type Config = z.input<typeof mcpAuthenticationSchema>

export const ISSUER = 'https://idp.example/realms/mcp'
export const AUDIENCE = 'https://gateway.test/mcp'
export const KEYS_URL = `${ISSUER}/keys`
const STARTED_AT = Date.UTC(2026, 0, 1)

export interface SigningKey {
  readonly algorithm: string
  readonly kid: string
  readonly privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
  readonly jwk: JWK
}

export async function signingKey(algorithm: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  return { algorithm, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig' } }
}

export const keySetOf = (...keys: readonly SigningKey[]) => ({ keys: keys.map(({ jwk }) => jwk) })

/** A good token but for what `claims` and `header` change; `undefined` leaves a claim out. */
export function signedToken(
  key: SigningKey,
  claims: JWTPayload = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const seconds = STARTED_AT / 1000
  return new SignJWT({
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    iat: seconds,
    exp: seconds + 86_400,
    ...claims,
  })
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid, ...header })
    .sign(key.privateKey)
}

type Call = { readonly url: string } & Parameters<McpAuthenticationDependencies['fetch']>[1]

export interface FakeWorld {
  readonly deps: McpAuthenticationDependencies
  /** Documents by URL; anything else is a 404. */
  readonly documents: Map<string, unknown>
  readonly files: Map<string, string>
  readonly calls: Call[]
  isDown: boolean
  /** What requests wait for. */
  gate: Promise<void>
  /** The status of every answer that is there. */
  status: number
  readonly passSeconds: (seconds: number) => void
  readonly seconds: () => number
}

export function fakeWorld(documents: Record<string, unknown> = {}): FakeWorld {
  let time = STARTED_AT
  const world: FakeWorld = {
    documents: new Map(Object.entries(documents)),
    files: new Map(),
    calls: [],
    isDown: false,
    gate: Promise.resolve(),
    status: 200,
    passSeconds: (seconds) => {
      time += seconds * 1000
    },
    seconds: () => time / 1000,
    deps: {
      now: () => time,
      readText: (path) => world.files.get(path) ?? '',
      async fetch(url, init) {
        world.calls.push({ url, ...init })
        await world.gate
        if (world.isDown) throw new Error('connect ECONNREFUSED 10.1.2.3:443')
        const document = world.documents.get(url)
        const body = typeof document === 'string' ? document : JSON.stringify(document ?? {})
        return { status: document === undefined ? 404 : world.status, headers: {}, body: Buffer.from(body) }
      },
    },
  }
  return world
}

export function authenticationOf(world: FakeWorld, config: Partial<Config> = {}): McpAuthentication {
  const full = { issuer: ISSUER, audiences: [AUDIENCE], jwks: { url: KEYS_URL }, ...config }
  return mcpAuthentication(mcpAuthenticationSchema.parse(full), world.deps)
}

export const head = (headers: WellKnownRequest['headers'] = {}, path = '/mcp') =>
  ({ headers, scheme: 'https', host: 'gateway.test', path }) as const

export const bearing = (token: string) => head({ authorization: `Bearer ${token}` })

export const wellKnownRequest = (path: string, change: Partial<WellKnownRequest> = {}): WellKnownRequest => ({
  ...head({}, path),
  method: 'GET',
  query: '',
  ...change,
})
