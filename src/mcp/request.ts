/** A client's HTTP request, as the MCP step is lent it, and what the step needs to serve it. */
import type { McpFacts } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import type { CallContext } from './asking.ts'
import type { McpCaller } from './authorization.ts'
import type { McpBackend, Target } from './backend.ts'
import { type JsonObject, metaOf, type RpcRequest } from './json-rpc.ts'
import type { Relay } from './peer.ts'
import type { ClientPort } from './reply.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { SharedSessions } from './shared-sessions.ts'
import type { WaitingCalls } from './waiting-calls.ts'

export interface TraceOfCaller {
  readonly sampled: boolean
  readonly traceId: string
  /** As it came in. */
  readonly received: string | undefined
  readonly state: string | undefined
}

export interface McpRequest {
  readonly method: string
  /** As the client sent it, without the query. */
  readonly path: string
  readonly query: string
  readonly headers: Headers
  /** Who was proven to ask, before it came here; undefined for anybody. */
  readonly caller: string | undefined
  /** The claims of a token that was checked before; undefined without one. */
  readonly jwt: Readonly<Record<string, unknown>> | undefined
  readonly body: Buffer
  readonly scheme: 'http' | 'https'
  readonly host: string
  /** Of the socket. */
  readonly localAddress: string
  readonly clientAddress: string
  readonly facts: McpFacts
  readonly port: ClientPort
  /** The caller's trace; `meta` is what the message itself says of it, where the request's head says nothing. */
  readonly traceOf: (meta: JsonObject | undefined) => TraceOfCaller
  /** Before the first target is called. */
  readonly onCalling: () => void
  /** The record has to wait for what goes on after the response is closed. */
  readonly holdRecord: (until: Promise<unknown>) => void
}

export interface EndpointDependencies {
  readonly version: string
  readonly sessions: Sessions
  readonly shared: SharedSessions
  readonly waiting: WaitingCalls
  readonly now: () => number
  readonly onRestart: (backend: McpBackend, target: Target) => void
  readonly log: (level: 'debug' | 'warn', message: string, fields: Readonly<Record<string, string>>) => void
  /** Never let a client see it. */
  readonly unexpected: (error: unknown) => void
}

/** Who asks, once authentication has spoken. */
export interface Caller {
  readonly owner: string | undefined
  readonly jwt: Readonly<Record<string, unknown>> | undefined
  /** Less the credential that was for the gateway. */
  readonly headers: Headers
}

/** All that a request is served with. */
export interface Serving {
  readonly backend: McpBackend
  readonly request: McpRequest
  readonly deps: EndpointDependencies
  readonly caller: Caller
}

/** `first`: of the requests that it is for, the one that may name the caller's trace. */
export function callContext(
  { request, caller }: Serving,
  session: Session,
  relay: Relay,
  first: RpcRequest | undefined,
): CallContext {
  const { method, host, path, clientAddress, facts, traceOf, onCalling } = request
  const plain = Object.entries(request.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  )
  const judged: Omit<McpCaller, 'methodName'> = {
    request: { method, host, path, headers: Object.fromEntries(plain) },
    source: { address: clientAddress },
    jwt: caller.jwt,
    sessionId: session.id,
  }
  const trace = traceOf(metaOf(first?.params))
  return { headers: caller.headers, caller: judged, facts, relay, trace, onCalling }
}
