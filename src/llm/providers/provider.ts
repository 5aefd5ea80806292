/** What a vendor is to the gateway: data and one small function. Adding one is a file like `openai.ts`. */
import type { WireFormat } from '../../core/exchange.ts'
import type { Headers } from '../../core/headers.ts'

/** What a provider can be asked for, and where below its base path. */
export type Api = WireFormat | 'models' | 'anthropicTokenCount'

export interface Credential {
  /** Lower-case header name. */
  readonly header: string
  readonly value: string
  readonly key: string
  readonly explicit: boolean
}

export interface Provider {
  /** OpenTelemetry's `gen_ai.provider.name`. */
  readonly name: string
  /** undefined: only `hostOverride` says where. */
  readonly host: string | undefined
  readonly port: number
  readonly basePath: string
  /** Paths below `basePath`. */
  readonly apis: Partial<Record<Api, string>>
  /** Whole paths that the configuration gives for an API; they win over `basePath` and `apis`. */
  readonly paths: Partial<Record<Api, string>>
  /**
   * Puts the credential where the vendor wants it: the configured one, else what the client sent. Changes
   * `headers` in place.
   */
  readonly authorize: (headers: Headers, credential: Credential | undefined) => void
}
