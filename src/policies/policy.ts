/**
 * What every traffic policy is: a compiled step before the upstream, a step on the response's head, or both.
 * Steps run in the order of `compile.ts`; none of them allocates unless it has work to do. Those before the upstream
 * may wait.
 */
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'

/** The part of a request that policies may change. */
export interface RequestHead {
  readonly exchange: Exchange
  readonly method: string
  /** Path without query; policies that rewrite replace it. */
  path: string
  /** Query without the question mark. */
  query: string
  /** Authority for the upstream; undefined = the backend's own. */
  authority: string | undefined
  readonly headers: Headers
  /** The pattern that matched, for prefix rewriting: the literal prefix, or undefined for exact and regex matches. */
  readonly matchedPrefix: string | undefined
  /** Who it is, by all that was proven; nobody else has the same. Never shown: it may be the hash of a key. */
  caller: string | undefined
  /** What the configuration says of the key that was presented; undefined without one. */
  apiKey: Readonly<Record<string, unknown>> | undefined
  /** Whether that key is for this model; undefined where it is for all. */
  allowsModel: ((model: string) => boolean) | undefined
  /** `username`, of the credential that was presented; undefined without one. */
  basicAuth: Readonly<Record<string, unknown>> | undefined
  /** The claims of the token that was presented; undefined without one. */
  jwt: Readonly<Record<string, unknown>> | undefined
  /** What `transformations` have noted of it, for later expressions. */
  metadata: Readonly<Record<string, unknown>> | undefined
  /** The request's body instead of this one, which is decoded; undefined where it goes on as it comes. */
  changeBody: ((body: Buffer, maxBytes: number) => Buffer) | undefined
}

/** An answer given without asking an upstream. */
export interface DirectReply {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** What a model is asked. */
export interface ModelRequest {
  /** As the client named it; undefined where that cannot be told, or not for sure. */
  readonly model: string | undefined
  /** An estimate of what it may cost at most. */
  readonly tokens: number
  /** The same in USD, by the prices in force; 0 for a model that has none. */
  readonly usd: () => number
}

/** Any step may throw a `GatewayError`, which then is the answer. */
export interface Policy {
  readonly onRequest?: (head: RequestHead) => DirectReply | undefined | Promise<DirectReply | undefined>
  /** Once it is known what a model is asked. */
  readonly onModelRequest?: (head: RequestHead, request: ModelRequest) => undefined | Promise<undefined>
  readonly onResponse?: (headers: Headers, request: RequestHead, status: number) => void
  /** After all else, once, for each request that `onRequest` has seen. */
  readonly onFinished?: (exchange: Exchange) => void
}
