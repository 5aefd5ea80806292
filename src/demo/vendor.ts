/** What distinguishes one simulated provider from another; the server around it is the same. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { Answer, Refusal } from './answer.ts'
import type { Api } from './ledger.ts'
import type { Script } from './script.ts'

export interface Call {
  readonly api: Api
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** As received. */
  readonly body: string
  readonly script: Script
  readonly requestId: string
}

export interface Vendor {
  apiOf(path: string): Api
  newRequestId(): string
  /** On every response. */
  headers(requestId: string, processingMs: number): OutgoingHttpHeaders
  /** Throws `Refusal` where the real provider refuses. */
  answer(call: Call): Answer
  scriptedError(status: number, model: string, script: Script): Refusal
  tooLarge(): Refusal
}
