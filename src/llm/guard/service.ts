/**
 * A service that judges texts: asked over HTTP, in its own words.
 *
 * Whatever it does, there is a verdict: that it gave none is one of them. Nothing that it says is logged, for it may
 * quote what it was asked.
 */
import type { GuardCheck } from '../../core/exchange.ts'
import type { Headers } from '../../core/headers.ts'
import type { Ask, UpstreamTarget } from '../../core/upstream.ts'

export interface Said {
  readonly role: string
  readonly content: string
}

export interface Question {
  readonly phase: GuardCheck['phase']
  readonly texts: readonly Said[]
}

export type Verdict =
  | { readonly action: 'pass' }
  /** As many texts as were asked about, in their order. */
  | { readonly action: 'mask'; readonly texts: readonly string[] }
  /** With the service's own words, where it has some. */
  | { readonly action: 'reject'; readonly status?: number; readonly body?: string }
  | { readonly action: 'failed'; readonly cause: Error }

/** How a kind of service is asked. `read` throws on what is no verdict. */
export interface Wire {
  readonly path: (phase: Question['phase']) => string
  readonly write: (question: Question) => unknown
  readonly read: (answer: unknown, question: Question) => Verdict
  /** What it is shown of who asks, as headers. */
  readonly shown: (caller: Pick<Caller, 'headers' | 'variables'>) => Headers
}

/** Where a service is. */
export interface Place {
  readonly target: UpstreamTarget
  readonly authority: string
  readonly auth: { readonly header: string; readonly value: string } | undefined
}

/** On whose behalf a service is asked. */
export interface Caller {
  /** The client's. */
  readonly headers: Readonly<Headers>
  /** What expressions know of its request. */
  readonly variables: () => Readonly<Record<string, unknown>>
  /** `traceparent` and the like. */
  readonly trace: Headers
  readonly signal: AbortSignal
  readonly maxBytes: number
  readonly now: () => number
  readonly failed: (kind: GuardService['kind'], cause: Error) => void
}

export interface GuardService {
  readonly kind: Exclude<GuardCheck['guard'], 'regex'>
  /** Those with the same id say the same. */
  readonly id: string
  readonly failsOpen: boolean
  /** Rejects only with the caller's signal. */
  readonly ask: (question: Question, caller: Caller) => Promise<Verdict>
}

const TIMEOUT_MS = 10_000

const failed = (cause: Error): Verdict => ({ action: 'failed', cause })

export function askOver(ask: Ask, { target, authority, auth }: Place, wire: Wire): GuardService['ask'] {
  function read(body: Buffer, question: Question): Verdict {
    try {
      return wire.read(JSON.parse(body.toString('utf8')), question)
    } catch {
      return failed(new Error(`${authority} gave no verdict`))
    }
  }

  return async (question, caller) => {
    const { trace, signal, maxBytes } = caller
    const body = Buffer.from(JSON.stringify(wire.write(question)))
    const sent: Headers = {
      ...wire.shown(caller),
      ...trace,
      ...(auth && { [auth.header]: auth.value }),
      'content-type': 'application/json',
      'content-length': String(body.length),
      accept: 'application/json',
      'accept-encoding': 'identity',
      host: authority,
    }
    const request = { method: 'POST', path: wire.path(question.phase), headers: sent, body }
    try {
      const answer = await ask(target, request, { timeoutMs: TIMEOUT_MS, maxBytes, signal })
      if (answer.status === 200) return read(answer.body, question)
      return failed(new Error(`${authority} answered ${answer.status}`))
    } catch (cause) {
      signal.throwIfAborted()
      const message = cause instanceof Error ? cause.message : String(cause)
      const said = message.startsWith(authority) ? message : `${authority}: ${message}`
      return failed(new Error(said, { cause }))
    }
  }
}
