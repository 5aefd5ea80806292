/** What the primary and its workers say to each other; each part of the program has its own names. */
import type { BindPorts } from '../binds.ts'
import type { Config } from '../config/schema.ts'
import type { Settings } from '../config/settings.ts'
import type { WrittenRecords } from '../store/messages.ts'
import type { MetricsReport } from '../telemetry/metrics-report.ts'
import type { CountingQuestions, CountingTold } from './counting-messages.ts'
import type { ReceptionAddress } from './reception.ts'

/** A configuration, and the files that it names as the primary has read them: all processes see the same. */
export interface ConfigAndFiles {
  readonly config: Config
  readonly files: ReadonlyMap<string, string>
}

export interface Start {
  /** The one that the gateway was started with: what is static comes from it. */
  readonly first: ConfigAndFiles
  /** The one in force, where it is another. */
  readonly current: ConfigAndFiles | undefined
  readonly settings: Settings
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly reusePort: boolean
  /** Requests are kept. */
  readonly keeps: boolean
  /** Where requests go that lead to MCP servers. */
  readonly reception: ReceptionAddress
  readonly ports: BindPorts
}

/** Of one worker, since the last one: the three tell of the same requests, and come whole or not at all. */
export interface Report {
  readonly metrics: MetricsReport | undefined
  readonly log: { readonly bytes: Uint8Array; readonly lines: number } | undefined
  readonly records: readonly WrittenRecords[]
}

export interface Questions extends CountingQuestions {
  /** Asked of a worker, once. It listens when it answers. */
  start(start: Start): void
  /** It has compiled it, and listens where it does not yet. Nothing else has changed. */
  prepare(next: ConfigAndFiles & { readonly ports: BindPorts }): void
  /** What was prepared is in force. */
  adopt(nothing: undefined): void
  /** What was prepared is forgotten. */
  abandon(nothing: undefined): void
  /** The event loop turns. */
  alive(nothing: undefined): void
  /** What has not been reported yet was reported before the answer. */
  report(nothing: undefined): void
  /** Nothing is under way there any more, and all is reported. */
  drain(nothing: undefined): void
}

export interface Told extends CountingTold {
  report: Report
}
