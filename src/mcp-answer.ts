/**
 * What the MCP step is lent of a request: the client's response, and the record.
 *
 * Once the response is closed there may still be something to wait for: an answer that goes over the session's event
 * stream, or a call that goes on although its client left and may come back.
 */
import { type ErrorType, FAULTS, type GatewayError, type Outcome, type Reason } from './core/errors.ts'
import type { Exchange, McpErrorType } from './core/exchange.ts'
import type { Headers } from './core/headers.ts'
import type { ClientResponse } from './listen/client-response.ts'
import type { ClientPort } from './mcp/reply.ts'

export interface McpAnswerOptions {
  readonly exchange: Exchange
  readonly client: ClientResponse
  /** Response policies. */
  readonly decorate: (headers: Headers, status: number) => void
  /** The response begins. */
  readonly onHead: () => void
}

/** What a client that does not read may leave in memory; it can come back for the rest. */
const MAX_BUFFERED = 16 * 1024 * 1024

interface Verdict {
  readonly outcome: Outcome
  readonly reason: Reason
  readonly errorType: ErrorType
}

const UNREACHED: Verdict = {
  outcome: 'upstream_error',
  reason: 'UpstreamFailure',
  errorType: 'provider_connect',
}
const BROKEN: Verdict = { outcome: 'upstream_error', reason: 'UpstreamFailure', errorType: 'provider_reset' }
const GARBLED: Verdict = {
  outcome: 'upstream_error',
  reason: 'UpstreamFailure',
  errorType: 'provider_bad_response',
}

/** Undefined: the exchange went well, whatever the server's answer says. */
const VERDICTS: Readonly<Record<McpErrorType, Verdict | undefined>> = {
  tool_error: undefined,
  mcp_error: undefined,
  // The client's wish was done.
  cancelled: undefined,
  timeout: { outcome: 'timeout', reason: 'Timeout', errorType: 'provider_timeout' },
  unexpected_response: GARBLED,
  transport_error: BROKEN,
  openapi_error: { outcome: 'upstream_error', reason: 'UpstreamFailure', errorType: 'provider_server_error' },
  unavailable: UNREACHED,
  denied: { outcome: 'rejected', reason: 'Authorization', errorType: 'policy_rejected' },
  invalid_request: { outcome: 'rejected', reason: 'InvalidRequest', errorType: 'caller_invalid_request' },
  internal: FAULTS.internal,
}

export class McpAnswer implements ClientPort {
  readonly #options: McpAnswerOptions
  readonly #listeners: (() => void)[] = []
  #isClosed = false
  #isCut = false
  #held: Promise<unknown> | undefined
  outcome: Outcome | undefined

  constructor(options: McpAnswerOptions) {
    this.#options = options
  }

  isOpen(): boolean {
    return !this.#isClosed && !this.#options.client.isEnded
  }

  isCut(): boolean {
    return this.#isCut
  }

  /** The exchange ends by a fault of its own. */
  cut(): void {
    this.#isCut = true
  }

  onClosed(listener: () => void): void {
    if (this.#isClosed) listener()
    else this.#listeners.push(listener)
  }

  reply(status: number, headers: Headers, body: Buffer): void {
    if (!this.isOpen() || this.#options.client.hasBegun) return
    this.#noteWork()
    this.#options.onHead()
    this.#options.decorate(headers, status)
    this.#options.client.reply(status, headers, body)
  }

  refuse(
    status: number,
    headers: Headers,
    body: Buffer,
    why: { readonly type: McpErrorType; readonly message: string },
  ): void {
    const { exchange } = this.#options
    this.#judge(why.type)
    exchange.errorMessage = why.message
    // Of what the client asked for in vain, the status says more than the type.
    if (status === 404) {
      exchange.reason = 'NotFound'
      exchange.errorType = 'caller_not_found'
    } else if (status === 405) exchange.errorType = 'caller_method_not_allowed'
    this.reply(status, headers, body)
  }

  openEvents(headers: Headers) {
    const { client, onHead, decorate } = this.#options
    onHead()
    const full: Headers = {
      ...headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      // Of nginx, which otherwise keeps events back.
      'x-accel-buffering': 'no',
    }
    decorate(full, 200)
    client.begin(200, full)
    client.flushHead()
    return {
      write: (bytes: Buffer) => {
        if (!this.isOpen()) return
        // What is left of what came before, not how large this is: a large answer is no sign of a slow reader.
        if (client.bufferedBytes > MAX_BUFFERED) client.destroy()
        else client.write(bytes, undefined)
      },
      end: () => {
        if (!this.isOpen()) return
        this.#noteWork()
        client.end()
      },
    }
  }

  hold(until: Promise<unknown>): void {
    this.#held = until
  }

  /** The response is closed. What the record still has to wait for. */
  closed(): Promise<void> | undefined {
    this.#isClosed = true
    for (const listener of this.#listeners) listener()
    return this.#held?.then(
      () => {},
      () => {},
    )
  }

  /** What became of the exchange, by what became of its operations. */
  conclude(): void {
    const failed = this.#options.exchange.mcp?.operations.find(({ errorType }) => errorType !== undefined)
    if (failed?.errorType === undefined || this.outcome !== undefined) return
    this.#judge(failed.errorType)
    this.#options.exchange.errorMessage ??= failed.errorMessage
  }

  #judge(type: McpErrorType): void {
    const verdict = VERDICTS[type]
    if (verdict === undefined) return
    const { exchange } = this.#options
    this.outcome = verdict.outcome
    exchange.reason = verdict.reason
    exchange.errorType = verdict.errorType
  }

  /** From the last word of a target to the client's: that was the gateway. */
  #noteWork(): void {
    const { exchange } = this.#options
    let last = 0
    for (const { endedAt = 0 } of exchange.mcp?.calls ?? []) last = Math.max(last, endedAt)
    if (last > 0) exchange.responseProcessingMs = performance.now() - last
  }
}

/** A fault before the MCP step had its say, as its clients understand it. */
export function rpcFaultBody(fault: GatewayError): string {
  const code = fault.status >= 500 ? -32603 : -32600
  return JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message: fault.message } })
}
