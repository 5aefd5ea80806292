/**
 * OpenTelemetry's own OTLP exporters, gRPC and HTTP with protobuf.
 *
 * Put together from their parts, because the ready-made `OTLPTraceExporter` classes read `OTEL_EXPORTER_OTLP_*`
 * from the process by themselves: they would add headers (keys, that is) meant for another endpoint, and fail on
 * headers in JSON. What to use is decided in `tracing-settings.ts` alone.
 */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { TracingSettings } from './tracing-settings.ts'

export interface SpanExporter {
  readonly export: (spans: ReadableSpan[], done: (error: Error | undefined) => void) => void
  /** Lets go of connections; exports on their way may fail. */
  readonly close: () => void
}

export interface ExporterOptions {
  readonly settings: Pick<TracingSettings, 'protocol' | 'url' | 'headers'>
  readonly userAgent: string
  readonly timeoutMs: number
  /** Spans that the collector took delivery of and refused. */
  readonly onRejected: (spans: number) => void
}

interface Delegate {
  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void
  shutdown(): Promise<void>
}

/** Loads the protocol's modules: some hundred milliseconds for gRPC, so not while requests wait. */
export async function createExporter(options: ExporterOptions): Promise<SpanExporter> {
  return options.settings.protocol === 'grpc' ? grpcExporter(options) : httpExporter(options)
}

async function grpcExporter(options: ExporterOptions): Promise<SpanExporter> {
  const [grpc, transformer] = await Promise.all([
    import('@opentelemetry/otlp-grpc-exporter-base'),
    import('@opentelemetry/otlp-transformer'),
  ])
  const { settings } = options
  const isSecure = settings.url.startsWith('https:')
  const delegate = grpc.createOtlpGrpcExportDelegate(
    {
      url: new URL(settings.url).host,
      metadata: () => {
        const metadata = grpc.createEmptyMetadata()
        for (const [name, value] of Object.entries(settings.headers)) metadata.set(name, value)
        return metadata
      },
      credentials: isSecure ? () => grpc.createSslCredentials() : () => grpc.createInsecureCredentials(),
      ...sharedConfiguration(options),
    },
    countingRejections(transformer.ProtobufTraceSerializer, options),
    'otlp_grpc_span_exporter',
    transformer.TraceExporterMetricsHelper,
    undefined,
    'TraceExportService',
    '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  )
  return fromDelegate(delegate, () => {})
}

async function httpExporter(options: ExporterOptions): Promise<SpanExporter> {
  const [http, transformer] = await Promise.all([
    import('@opentelemetry/otlp-exporter-base/node-http'),
    import('@opentelemetry/otlp-transformer'),
  ])
  const { settings } = options
  const agent = settings.url.startsWith('https:')
    ? new HttpsAgent({ keepAlive: true })
    : new HttpAgent({ keepAlive: true })
  const delegate = http.createOtlpHttpExportDelegate(
    {
      url: settings.url,
      headers: async () => ({ ...settings.headers, 'Content-Type': 'application/x-protobuf' }),
      agentFactory: async () => agent,
      ...sharedConfiguration(options),
    },
    countingRejections(transformer.ProtobufTraceSerializer, options),
    'otlp_http_span_exporter',
    transformer.TraceExporterMetricsHelper,
    undefined,
  )
  return fromDelegate(delegate, () => agent.destroy())
}

const sharedConfiguration = (options: ExporterOptions) => ({
  timeoutMillis: options.timeoutMs,
  // Our queue is what limits.
  concurrencyLimit: Number.MAX_SAFE_INTEGER,
  compression: 'none' as const,
  userAgent: options.userAgent,
})

type Serializer = typeof import('@opentelemetry/otlp-transformer').ProtobufTraceSerializer

/** A collector may answer "success" and have refused some of the spans; the exporters only log that. */
function countingRejections(serializer: Serializer, options: ExporterOptions): Serializer {
  return {
    serializeRequest: serializer.serializeRequest,
    deserializeResponse(bytes) {
      const response = serializer.deserializeResponse(bytes)
      const rejected = Number(response.partialSuccess?.rejectedSpans ?? 0)
      if (rejected > 0) options.onRejected(rejected)
      return response
    },
  }
}

function fromDelegate(delegate: Delegate, release: () => void): SpanExporter {
  return {
    export(spans, done) {
      delegate.export(spans, (result) => {
        done(
          result.code === ExportResultCode.SUCCESS ? undefined : (result.error ?? new Error('export failed')),
        )
      })
    },
    close() {
      release()
      // Waits for exports on their way, which end at their timeout at the latest.
      delegate.shutdown().catch(() => {})
    },
  }
}
