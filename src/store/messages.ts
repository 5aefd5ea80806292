/** What the main thread and the store's worker say to each other. */
import type { SpendingReport, SpentQuery } from '../core/spending.ts'
import type { Location } from './location.ts'
import type { Calls } from './rest.ts'
import type { WrittenTape } from './tape.ts'
import type {
  Follow,
  HistoryQuery,
  Retention,
  Search,
  StoreOptions,
  SummaryQuery,
  TimeRange,
} from './types.ts'

export interface WorkerSettings {
  readonly location: Location
  readonly maxConnections: number
  readonly retention: Retention
}

export interface WorkerData extends WorkerSettings {
  readonly calls: Calls
}

export interface WrittenRecords {
  /** How many records. */
  readonly count: number
  /** What `writeRecord` wrote. */
  readonly tapes: readonly WrittenTape[]
}

export interface Batch extends WrittenRecords {
  /** Each is the JSON of a `MetricSample`. */
  readonly samples: readonly string[]
  /** Requests are many at the moment, and there is room for more. */
  readonly mayWait: boolean
}

export type Question =
  | { readonly method: 'search'; readonly query: Search }
  | { readonly method: 'follow'; readonly query: Follow }
  | { readonly method: 'get'; readonly query: string }
  | { readonly method: 'trace'; readonly query: string }
  | { readonly method: 'summary'; readonly query: SummaryQuery }
  | { readonly method: 'values'; readonly query: TimeRange }
  | { readonly method: 'history'; readonly query: HistoryQuery }

export type Asked =
  | Question
  | { readonly method: 'status'; readonly query: undefined }
  | { readonly method: 'spend'; readonly query: SpendingReport }
  | { readonly method: 'spent'; readonly query: readonly SpentQuery[] }

export type ToWorker =
  | { readonly type: 'write'; readonly batch: Batch }
  | { readonly type: 'ask'; readonly id: number; readonly question: Asked }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'ready' }
  /** It cannot work with this store, and trying again will not help. */
  | { readonly type: 'refused'; readonly message: string }
  /** The oldest batches that were under way are done with. */
  | { readonly type: 'written'; readonly batches: number; readonly lost: number }
  /** JSON: it is read faster than a structured clone. */
  | { readonly type: 'answer'; readonly id: number; readonly json: string | undefined }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
  | { readonly type: 'problem'; readonly problem: string | undefined }
  | {
      readonly type: 'log'
      readonly level: Parameters<StoreOptions['log']>[0]
      readonly message: string
      readonly fields: Readonly<Record<string, string>>
    }
  | { readonly type: 'closed' }
