/**
 * Spans to a collector, by OTLP over gRPC or HTTP.
 *
 * Not with OpenTelemetry's ready-made exporters. They read `OTEL_EXPORTER_OTLP_*` from the process by themselves: they add
 * headers (keys, that is) meant for another endpoint, and fail on headers in JSON. Their gRPC client pauses up to
 * two minutes between two attempts to connect: traces would stay away that long after a collector has come back.
 * And what they have begun cannot be stopped: with a collector that hangs, the process ended eleven seconds late.
 */
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { ClientUnaryCall } from '@grpc/grpc-js'
import { rejectedSpans } from './otlp-encoding.ts'
import { Unavailable } from './otlp-queue.ts'
import type { TracingSettings } from './tracing-settings.ts'

type Done = (error: Error | undefined) => void

export interface SpanExporter {
  /** An encoded request. Calls `done` once, at the timeout at the latest. */
  readonly export: (request: Buffer, done: Done) => void
  /** Ends exports on their way, with an error, and lets go of connections. */
  readonly close: () => void
}

export interface ExporterOptions {
  readonly settings: Pick<TracingSettings, 'protocol' | 'url' | 'headers'>
  readonly userAgent: string
  readonly timeoutMs: number
  /** Spans that the collector took delivery of and refused. */
  readonly onRejected: (spans: number) => void
}

/** Loads the protocol's modules: some hundred milliseconds for gRPC, so not while requests wait. */
export async function createExporter(options: ExporterOptions): Promise<SpanExporter> {
  return options.settings.protocol === 'grpc' ? grpcExporter(options) : httpExporter(options)
}

const GRPC_METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const LONGEST_RECONNECT_PAUSE_MS = 5000

async function grpcExporter(options: ExporterOptions): Promise<SpanExporter> {
  const grpc = await import('@grpc/grpc-js')
  const { settings, timeoutMs, onRejected } = options
  // Not by `URL`, which leaves out port 80: gRPC would take 443.
  const [scheme, address = ''] = settings.url.split('://')
  const credentials = scheme === 'https' ? grpc.credentials.createSsl() : grpc.credentials.createInsecure()
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(settings.headers)) metadata.set(name, value)

  const connect = () =>
    new grpc.Client(address, credentials, {
      'grpc.primary_user_agent': options.userAgent,
      'grpc.max_reconnect_backoff_ms': LONGEST_RECONNECT_PAUSE_MS,
      // A new client gets a new connection.
      'grpc.use_local_subchannel_pool': 1,
      // Both would be surprises: an `http_proxy` meant for the internet, DNS queries for TXT records.
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    })
  let client = connect()
  const calls = new Set<ClientUnaryCall>()

  return {
    export(request, done) {
      const usedClient = client
      const call = usedClient.makeUnaryRequest(
        GRPC_METHOD,
        asIs,
        asIs,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          calls.delete(call)
          if (error?.code === grpc.status.DEADLINE_EXCEEDED && client === usedClient) {
            // The connection may be dead without having ended, and would stay so for a quarter of an hour.
            client.close()
            client = connect()
          }
          if (response !== undefined) tellRejected(response, onRejected)
          done(error === null ? undefined : RETRIED_CODES.has(error.code) ? unavailable(error) : error)
        },
      )
      calls.add(call)
    },
    close() {
      for (const call of calls) call.cancel()
      client.close()
    },
  }
}

const asIs = (bytes: Buffer) => bytes

// https://opentelemetry.io/docs/specs/otlp/#failures, without deadlines: whoever let one pass may have taken the batch.
/** RESOURCE_EXHAUSTED, ABORTED, UNAVAILABLE. */
const RETRIED_CODES = new Set([8, 10, 14])
const RETRIED_STATUSES = new Set([429, 502, 503, 504])
const REFUSED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

const unavailable = (cause: Error) => new Unavailable(cause.message, { cause })

const LONGEST_RESPONSE = 64 * 1024

function httpExporter({ settings, timeoutMs, userAgent, onRejected }: ExporterOptions): SpanExporter {
  const protocol = settings.url.startsWith('https:') ? https : http
  const agent = new protocol.Agent({ keepAlive: true })
  const headers = {
    ...settings.headers,
    'content-type': 'application/x-protobuf',
    'user-agent': userAgent,
  }
  const requests = new Set<ClientRequest>()

  function post(body: Buffer, done: Done): void {
    const request = protocol.request(settings.url, {
      method: 'POST',
      agent,
      headers: { ...headers, 'content-length': body.length },
    })
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    timer.unref()
    const finish = (error: Error | undefined) => {
      clearTimeout(timer)
      requests.delete(request)
      done(error)
    }
    requests.add(request)
    request.on('response', (response) => readAnswer(response, onRejected, finish))
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The collector closed an idle connection in the moment in which we took it up: nobody has seen the batch.
      if (request.reusedSocket && error.code === 'ECONNRESET' && requests.delete(request)) {
        clearTimeout(timer)
        post(body, done)
      } else finish(REFUSED.has(error.code ?? '') ? unavailable(error) : error)
    })
    request.end(body)
  }

  return {
    export: post,
    close() {
      for (const request of requests) {
        requests.delete(request)
        request.destroy(new Error('closed'))
      }
      agent.destroy()
    },
  }
}

function readAnswer(response: IncomingMessage, onRejected: OnRejected, done: Done): void {
  const { statusCode = 0, statusMessage = '' } = response
  const chunks: Buffer[] = []
  let size = 0
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= LONGEST_RESPONSE) chunks.push(chunk)
    else response.destroy(new Error('the answer is too long'))
  })
  response.on('error', done)
  response.on('end', () => {
    const isSuccess = statusCode >= 200 && statusCode < 300
    if (isSuccess) tellRejected(Buffer.concat(chunks), onRejected)
    if (isSuccess) return done(undefined)
    const error = new Error(`HTTP ${statusCode} ${statusMessage}`)
    done(RETRIED_STATUSES.has(statusCode) ? unavailable(error) : error)
  })
}

type OnRejected = ExporterOptions['onRejected']

/** A collector may answer "success" and have refused some of the spans. */
function tellRejected(response: Buffer, onRejected: OnRejected): void {
  const rejected = rejectedSpans(response)
  if (rejected > 0) onRejected(rejected)
}
