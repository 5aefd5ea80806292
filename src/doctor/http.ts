/**
 * HTTP as the doctor needs it: whatever goes wrong is a value that says what is there instead, in words.
 *
 * Every wait ends with the caller's signal, every body at a size, and no connection is kept: what is asked is whether
 * somebody answers now.
 */
import { Agent, request } from 'undici'
import type { z } from 'zod'
import type { Clean } from './clean.ts'

export type FaultKind =
  /** Nothing listens, the name does not resolve, the host cannot be reached. */
  | 'nothing'
  | 'silent'
  /** Takes connections and closes them: a published container port with nobody behind it, for one. */
  | 'dropped'
  | 'not-http'
  | 'no-tls'
  | 'certificate'
  | 'too-long'
  /** An answer with another status than 2xx. */
  | 'status'
  /** An answer that makes no sense. */
  | 'unexpected'

export interface Fault {
  readonly fault: FaultKind
  readonly why: string
  /** With `status`. */
  readonly status?: number
  /** With `status`: the body. */
  readonly text?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The head came, the body did not. */
  readonly brokenOff?: Fault
}

export type Read<T> = { readonly value: T } | Fault

export interface Ask {
  readonly signal: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
  /** Sent by POST, as JSON. */
  readonly body?: string
  readonly login?: { readonly user: string; readonly password: string }
}

export interface Http {
  readonly ask: (url: string, ask: Ask) => Promise<Answer | Fault>
  /** Any 2xx whose body is JSON of this shape. */
  readonly json: <T>(url: string, schema: z.ZodType<T>, ask: Ask) => Promise<Read<T>>
  readonly close: () => Promise<void>
}

const LARGEST_BODY = 16 * 1024 * 1024

export const isFault = (reply: object): reply is Fault => 'fault' in reply

/** `path` below an address that may have a path of its own. */
export const under = (address: string, path: string) => address.replace(/\/+$/, '') + path

/** For display: without a user and a password. */
export function shown(address: string): string {
  const { protocol, host, pathname } = new URL(address)
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`
}

/** A part of a URL as it was meant; a stray `%` is one. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The credentials of Basic authentication, without the word `Basic`. */
export const basic = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString('base64')

export function createHttp(options: { readonly clean: Clean; readonly connectMs: number }): Http {
  const { clean, connectMs } = options
  const agent = new Agent({
    connect: { timeout: connectMs },
    pipelining: 0,
    maxResponseSize: LARGEST_BODY,
    headersTimeout: 0,
    bodyTimeout: 0,
  })

  async function ask(address: string, { signal, headers = {}, body, login }: Ask): Promise<Answer | Fault> {
    const url = new URL(address)
    const { username, password } = url
    const credentials =
      login ?? (username === '' ? undefined : { user: decoded(username), password: decoded(password) })
    url.username = ''
    url.password = ''
    try {
      const response = await request(url, {
        dispatcher: agent,
        signal,
        method: body === undefined ? 'GET' : 'POST',
        body,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(credentials && {
            authorization: `Basic ${basic(credentials.user, credentials.password)}`,
          }),
          ...headers,
        },
      })
      const head = { status: response.statusCode, headers: response.headers }
      try {
        return { ...head, text: await response.body.text() }
      } catch (error) {
        return { ...head, text: '', brokenOff: faultOf(error, url, clean) }
      }
    } catch (error) {
      return faultOf(error, url, clean)
    }
  }

  async function json<T>(address: string, schema: z.ZodType<T>, options: Ask): Promise<Read<T>> {
    const reply = await ask(address, options)
    if (isFault(reply)) return reply
    if (reply.brokenOff !== undefined) return reply.brokenOff
    const { status, text } = reply
    const what = `${options.body === undefined ? 'GET' : 'POST'} ${new URL(address).pathname}`
    if (status < 200 || status > 299)
      return { fault: 'status', status, text, why: `${what} answered ${status}${saying(text, clean)}` }
    const read = schema.safeParse(parsed(text))
    return read.success
      ? { value: read.data }
      : {
          fault: 'unexpected',
          why: `${what} answered ${status} with something else than expected${saying(text, clean)}`,
        }
  }

  return { ask, json, close: () => agent.destroy() }
}

/** undefined when it is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const saying = (text: string, clean: Clean) => (text.trim() === '' ? '' : `: ${clean(text)}`)

const UNREACHABLE = new Set([
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET'])
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID/

/** What an error of a connection says about who is, or is not, at the other end. */
export function faultOf(error: unknown, { host, hostname, protocol }: URL, clean: Clean): Fault {
  const { name, code, message } = described(error)
  const at = protocol === 'grpc:' ? host : `${protocol}//${host}`
  if (code === 'ECONNREFUSED') return { fault: 'nothing', why: `nothing listens at ${at}` }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return { fault: 'nothing', why: `the name ${hostname} does not resolve` }
  if (UNREACHABLE.has(code)) return { fault: 'nothing', why: `${at} cannot be reached` }
  if (name === 'TimeoutError' || name === 'AbortError')
    return { fault: 'silent', why: `${at} takes the connection and does not answer in time` }
  if (CLOSED.has(code))
    return { fault: 'dropped', why: `${at} takes the connection and closes it unanswered` }
  if (name === 'HTTPParserError')
    return { fault: 'not-http', why: `what answers at ${at} does not speak HTTP` }
  if (CERTIFICATE.test(code))
    return { fault: 'certificate', why: `the certificate of ${at} is not accepted (${clean(message)})` }
  if (code.startsWith('ERR_SSL') || code === 'EPROTO')
    return { fault: 'no-tls', why: `what answers at ${at} does not speak TLS` }
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return { fault: 'too-long', why: `${at} sends more than ${LARGEST_BODY >> 20} MiB` }
  return { fault: 'unexpected', why: `${at}: ${clean(message)}` }
}

/** The innermost error with a code, where there is one. */
function described(error: unknown): { name: string; code: string; message: string } {
  if (!(error instanceof Error)) return { name: '', code: '', message: String(error) }
  const { name, message, cause } = error
  // undici's own code says that a socket ended; the cause says why.
  if (cause instanceof Error && 'code' in cause) return described(cause)
  return { name, message, code: 'code' in error ? String(error.code) : '' }
}
