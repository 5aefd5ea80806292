/**
 * Who may call: users with a password. https://www.rfc-editor.org/rfc/rfc7617
 *
 * A password that was right is remembered for a minute, as a keyed hash: a browser sends it with each of its requests.
 */
import { createHmac, hash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { fingerprint } from '../core/credential-key.ts'
import { GatewayError } from '../core/errors.ts'
import { headerValue } from '../core/schema.ts'
import {
  credentialLocation,
  credentialMode,
  credentialsAt,
  passesUnproven,
  placeOf,
  proven,
} from './credentials.ts'
import { costOf, parseHtpasswd } from './htpasswd.ts'
import type { Passwords } from './passwords.ts'
import type { Policy, RequestHead } from './policy.ts'

export const basicAuthSchema = z.strictObject({
  htpasswd: z.union([z.string().min(1), z.strictObject({ file: z.string().min(1) })]),
  realm: headerValue
    .regex(/^[^"\\]*$/, { error: 'a realm has neither quotes nor backslashes' })
    .default('Restricted'),
  mode: credentialMode,
  authorizationLocation: credentialLocation.default({ header: { name: 'authorization', prefix: 'Basic ' } }),
})
export type BasicAuthConfig = z.output<typeof basicAuthSchema>

const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 1000
/** Longer ones only cost time. */
const MAX_LENGTH = 1024

const MISSING = 'basic authentication failure: no credentials found'
const WRONG = 'basic authentication failure: invalid credentials'

interface Credential {
  readonly user: string
  readonly password: string
}

function parsed(encoded: string): Credential | undefined {
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0 || text.length > MAX_LENGTH) return undefined
  return { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** `htpasswd` is the file's content. Throws an error that says what is wrong with it. */
export function basicAuth(
  config: BasicAuthConfig,
  htpasswd: string,
  { isPassword, now }: { readonly isPassword: Passwords['isPassword']; readonly now: () => number },
): Policy {
  const users = parseHtpasswd(htpasswd)
  // Somebody who is not there takes as long as somebody who is.
  const [decoy = ''] = [...users.values()].sort((a, b) => (costOf(b) ?? 0) - (costOf(a) ?? 0))
  const place = placeOf(config.authorizationLocation)
  const challenge = { 'www-authenticate': `Basic realm="${config.realm}", charset="UTF-8"` }
  const secret = randomBytes(32)
  /** Checks under way, and those that went well. The oldest is first. */
  const remembered = new Map<string, { readonly isRight: Promise<boolean>; readonly until: number }>()

  async function check({ user, password }: Credential): Promise<boolean> {
    const hashed = users.get(user)
    const isRight = await isPassword(password, hashed ?? decoy)
    return isRight && hashed !== undefined
  }

  function isUser(credential: Credential): Promise<boolean> {
    const { user, password } = credential
    const name = createHmac('sha256', secret).update(`${user}:${password}`).digest('base64')
    const known = remembered.get(name)
    if (known !== undefined && known.until > now()) return known.isRight
    remembered.delete(name)
    const forget = () => remembered.delete(name)
    const isRight = check(credential)
    isRight.then((right) => right || forget(), forget)
    const [oldest] = remembered.keys()
    if (oldest !== undefined && remembered.size >= MAX_REMEMBERED) remembered.delete(oldest)
    remembered.set(name, { isRight, until: now() + REMEMBERED_MS })
    return isRight
  }

  function refuse({ exchange }: RequestHead, isPresent: boolean): undefined {
    // A fingerprint of what holds a password would help to guess it.
    if (isPresent) exchange.key = undefined
    if (passesUnproven(config.mode, isPresent)) return undefined
    exchange.key = undefined
    throw new GatewayError('unauthenticated', isPresent ? WRONG : MISSING, { headers: challenge })
  }

  return {
    onRequest(head) {
      const [presented, another] = credentialsAt(head, place)
      if (presented === undefined) return refuse(head, false)
      if (another !== undefined) {
        place.removeFrom(head)
        return refuse(head, true)
      }
      const credential = parsed(presented)
      if (credential === undefined) return refuse(head, true)
      const { user } = credential
      // What is meant for us is for us alone, right or wrong.
      if (users.has(user)) place.removeFrom(head)
      const judged = isUser(credential)
      return (config.mode === 'permissive' ? judged.catch(() => false) : judged).then((isRight) => {
        if (!isRight) return refuse(head, true)
        const { exchange } = head
        exchange.user = user
        exchange.key = fingerprint(hash('sha256', user))
        proven(head, 'basicAuth', user)
        head.basicAuth = { username: user }
        return undefined
      })
    },
  }
}
