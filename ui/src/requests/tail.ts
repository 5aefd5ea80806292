/**
 * Requests as they finish. A connection that ends is opened again where it ended, after a wait that grows.
 */
import type { LogEntry, LogsSearch, TailError, TailLog } from '../../../src/admin/api-types.ts'
import { ApiError, isAbort, messageOf, postForStream } from '../api/client.ts'
import { readEvents } from '../api/sse.ts'
import { parseJson, readText } from '../format/json.ts'

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 15_000

export type TailState =
  | { readonly kind: 'connecting' | 'live' }
  | { readonly kind: 'waiting'; readonly problem: string }

interface TailOptions {
  readonly search: LogsSearch
  readonly signal: AbortSignal
  readonly onEntry: (entry: LogEntry) => void
  readonly onState: (state: TailState) => void
  readonly connect?: (search: LogsSearch, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

const connectTail = (search: LogsSearch, signal: AbortSignal) =>
  postForStream('/api/logs/tail', search, signal)

export async function followLogs(options: TailOptions): Promise<void> {
  const { search, signal, onEntry, onState, connect = connectTail, pause = pauseFor } = options
  let cursor: string | undefined
  let waitMs = FIRST_WAIT_MS

  while (!signal.aborted) {
    let problem = 'The connection ended.'
    try {
      onState({ kind: 'connecting' })
      const body = await connect({ ...search, ...(cursor && { cursor }) }, signal)
      onState({ kind: 'live' })
      for await (const { event, data } of readEvents(body)) {
        waitMs = FIRST_WAIT_MS
        const value = parseJson(data)
        if (event === 'error') problem = readText(value, 'message' satisfies keyof TailError) ?? problem
        if (event !== 'log' || value === undefined) continue
        const found = value as TailLog
        cursor = found.cursor
        onEntry(found.entry)
      }
    } catch (error) {
      if (isAbort(error) || signal.aborted) return
      problem = messageOf(error)
      // Asking again does not help: nobody is signed in, or the search is wrong.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
        onState({ kind: 'waiting', problem })
        return
      }
    }
    if (signal.aborted) return
    onState({ kind: 'waiting', problem })
    await pause(waitMs, signal)
    waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)
  }
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}
