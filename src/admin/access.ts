/**
 * Who may use the admin port.
 *
 * On loopback everybody who is on the machine may, and only they: a page from elsewhere that the user's browser shows
 * is told apart by its origin, and a name that was made to point here (DNS rebinding) by the Host header. On any other
 * address a token is asked for, in `Authorization: Bearer` or once on the sign-in page, which leaves a cookie.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ApiError } from './http.ts'

export interface Access {
  /** Throws `ApiError` 403: not a request of the console or of a program. */
  readonly checkOrigin: (request: IncomingMessage) => void
  readonly isSignedIn: (request: IncomingMessage) => boolean
  /** Throws `ApiError` 401. */
  readonly check: (request: IncomingMessage) => void
  /** Throws `ApiError` 401 after a moment: nobody tries a million. */
  readonly signIn: (response: ServerResponse, token: string) => Promise<void>
  readonly signOut: (request: IncomingMessage, response: ServerResponse) => void
  readonly isTokenRequired: boolean
}

export interface AccessOptions {
  /** Undefined: loopback, nobody is asked. */
  readonly token: string | undefined
  readonly now: () => number
}

const COOKIE = 'agentgateway_session'
const SESSION_MS = 12 * 3_600_000
const MAX_SESSIONS = 1000
const WRONG_TOKEN_MS = 500

const LOOPBACK = /^(?:localhost|(?:[\w-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i
export const isLoopbackHost = (host: string) => /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(host)

/**
 * A link somewhere else to a page of the console. Its file tells nothing, and no other page may frame it; what it goes
 * on to ask for comes from this origin.
 */
const isVisit = ({ method, url = '', headers }: IncomingMessage) =>
  (method === 'GET' || method === 'HEAD') &&
  /^\/(?:ui(?:[/?]|$)|(?:\?|$))/.test(url) &&
  headers['sec-fetch-mode'] === 'navigate' &&
  headers['sec-fetch-dest'] === 'document' &&
  headers.origin === undefined

const digest = (text: string) => createHash('sha256').update(text).digest()
const isEqual = (one: string, other: string) => timingSafeEqual(digest(one), digest(other))

export function createAccess({ token, now }: AccessOptions): Access {
  const sessions = new Map<string, number>()

  function cookieOf(request: IncomingMessage): string | undefined {
    const pairs = (request.headers.cookie ?? '').split(/;\s*/)
    return pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1)
  }

  function isSignedIn(request: IncomingMessage): boolean {
    if (token === undefined) return true
    const [, bearer] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? []
    if (bearer !== undefined) return isEqual(bearer, token)
    const cookie = cookieOf(request)
    const until = cookie === undefined ? undefined : sessions.get(cookie)
    return until !== undefined && until > now()
  }

  function setCookie(response: ServerResponse, value: string, seconds: number): void {
    response.setHeader(
      'set-cookie',
      `${COOKIE}=${value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${seconds}`,
    )
  }

  return {
    isTokenRequired: token !== undefined,
    isSignedIn,
    checkOrigin(request) {
      const { headers } = request
      const { host = '', origin } = headers
      if (token === undefined && !LOOPBACK.test(host))
        throw new ApiError(403, `Host ${host} is not this machine: use http://localhost`)
      if (isVisit(request)) return
      const site = headers['sec-fetch-site']
      const isForeign =
        (typeof origin === 'string' && origin.replace(/^https?:\/\//, '') !== host) ||
        site === 'cross-site' ||
        (site === 'same-site' && origin === undefined)
      if (isForeign) throw new ApiError(403, 'a page of another origin may not use this port')
    },
    check(request) {
      if (isSignedIn(request)) return
      throw new ApiError(401, 'sign in, or send Authorization: Bearer <config.adminToken>', {
        'www-authenticate': 'Bearer realm="agentgateway admin"',
      })
    },
    async signIn(response, given) {
      if (token === undefined) return
      if (!isEqual(given, token)) {
        await new Promise((resolve) => setTimeout(resolve, WRONG_TOKEN_MS).unref())
        throw new ApiError(401, 'this is not the token')
      }
      const [oldest] = sessions.keys()
      if (sessions.size >= MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest)
      const id = randomBytes(24).toString('base64url')
      sessions.set(id, now() + SESSION_MS)
      setCookie(response, id, SESSION_MS / 1000)
    },
    signOut(request, response) {
      const cookie = cookieOf(request)
      if (cookie !== undefined) sessions.delete(cookie)
      setCookie(response, '', 0)
    },
  }
}
