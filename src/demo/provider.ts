/**
 * Simulated LLM providers: they speak OpenAI's and Anthropic's wire formats over real sockets, break in the ways
 * in which real ones break, and keep a ledger of what they billed.
 *
 * A body that the real provider would refuse is refused even when a script is given: scripts say how to answer,
 * not what to accept.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { anthropic } from './anthropic.ts'
import { canBeFixed, createFixedAnswers } from './fixed.ts'
import { type BilledCall, createLedger, type Totals } from './ledger.ts'
import { openAI } from './openai.ts'
import type { Script } from './script.ts'
import { serve } from './serve.ts'
import type { Vendor } from './vendor.ts'

export interface ProviderOptions {
  /** 0 (the default) takes a free one. */
  readonly port?: number
  readonly host?: string
  readonly tls?: { readonly cert: string; readonly key: string }
  /** For requests that bring no script and find none queued. */
  readonly defaults?: Script
  /**
   * For benchmarks: the first request of each shape (path, model, streaming) is checked and answered in full, the
   * others get the same bytes unread. Wants `defaults` that say what to answer, not how to write it; ignores
   * `x-simulate` and `next()`.
   */
  readonly fixed?: boolean
  /** How many calls the ledger keeps at least; the totals count on. Default 20,000, or 1,000 when `fixed`. */
  readonly keptCalls?: number
}

export interface SimulatedProvider {
  readonly port: number
  readonly url: string
  readonly calls: readonly BilledCall[]
  readonly totals: Totals
  /** Event streams whose head is out and whose end is not. */
  readonly openStreams: number
  /** Requests that have arrived and are not in the ledger yet. */
  readonly inFlight: number
  /** Streams that stand still because the caller does not read. */
  readonly waitingForDrain: number
  /** Queues a script for the next request that brings none. */
  next(script: Script): void
  /** Requests that arrive from now on are looked at when the function is called that this returns. */
  hold(): () => void
  /** Empties the ledger and the queue. */
  clear(): void
  /** Resolves when the predicate holds; asked again whenever a call or one of the gauges above changes. */
  waitFor(predicate: (calls: readonly BilledCall[]) => boolean): Promise<readonly BilledCall[]>
  /** Breaks what is open. */
  close(): Promise<void>
}

export function startSimulatedOpenAI(options: ProviderOptions = {}): Promise<SimulatedProvider> {
  return start(openAI, options)
}

export interface AnthropicOptions extends ProviderOptions {
  /** The real API joins neighbouring turns of one role. Default false: a translation is expected to have done so. */
  readonly joinsTurns?: boolean
}

export function startSimulatedAnthropic(options: AnthropicOptions = {}): Promise<SimulatedProvider> {
  return start(anthropic({ joinsTurns: options.joinsTurns ?? false }), options)
}

async function start(vendor: Vendor, options: ProviderOptions): Promise<SimulatedProvider> {
  const ledger = createLedger(options.keptCalls ?? (options.fixed === true ? 1000 : 20_000))
  const gauges = { openStreams: 0, waitingForDrain: 0, inFlight: 0, changed: ledger.notify }
  const defaults = options.defaults ?? {}
  const fixed = options.fixed === true && canBeFixed(defaults) ? createFixedAnswers() : undefined
  const queue: Script[] = []
  let held: Promise<void> | undefined
  const desk = { vendor, gauges, defaults, queue, fixed }

  async function answer(request: IncomingMessage, response: ServerResponse) {
    gauges.inFlight += 1
    gauges.changed()
    if (held !== undefined) await held
    try {
      const call = await serve(desk, request, response)
      gauges.inFlight -= 1
      ledger.add(call)
    } catch (error) {
      // A mistake of the simulation, not one that it simulates: say so.
      gauges.inFlight -= 1
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' })
      response.end(`the simulated provider failed: ${error instanceof Error ? error.stack : error}`)
    }
  }

  const server = createHttpServer(options, answer)
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: options.port ?? 0, host, backlog: 4096 }, resolve)
  })
  const address = server.address()
  // A pipe's address is a string; this server listens on a port.
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port,
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    calls: ledger.calls,
    get totals() {
      return ledger.totals
    },
    get openStreams() {
      return gauges.openStreams
    },
    get inFlight() {
      return gauges.inFlight
    },
    get waitingForDrain() {
      return gauges.waitingForDrain
    },
    next: (script) => void queue.push(script),
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return () => {
        if (held === promise) held = undefined
        resolve()
      }
    },
    clear() {
      ledger.clear()
      queue.length = 0
    },
    waitFor: ledger.waitFor,
    close: () => closeServer(server),
  }
}

function createHttpServer({ tls }: ProviderOptions, listener: RequestListener): Server {
  // `x-simulate` may be long.
  const settings = { maxHeaderSize: 128 * 1024, requestTimeout: 0, keepAliveTimeout: 120_000 }
  return tls === undefined
    ? createServer(settings, listener)
    : createTlsServer({ ...settings, ...tls }, listener)
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)))
    server.closeAllConnections()
  })
}
