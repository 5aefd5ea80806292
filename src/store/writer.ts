/**
 * What waits in the worker to be written, in the order in which it came.
 *
 * What fails for a while is tried again and again: the outbox on the main thread bounds how much can wait. What the
 * database refuses is halved until what is to blame is found, and that alone is lost.
 */
import { setImmediate } from 'node:timers/promises'
import type { Batch } from './messages.ts'
import { halves, type Prepared, prepare } from './prepared.ts'
import { createIds } from './request-ids.ts'

/** Records that go into one transaction when several batches wait: all are in memory, and people wait for its end. */
const MAX_TOGETHER = 1_000

/** Less is written at once. */
const BEHIND = 2 * MAX_TOGETHER

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 5000

/** So many in a row without a success, and the rest is given up as well. */
const MAX_REFUSALS = 40

/** `refused`: it will not succeed later either. */
export type Outcome = 'kept' | 'later' | 'refused'

export interface Writer {
  readonly add: (batch: Batch) => void
  /** Resolves when all that was added before has been tried, and is written or has to wait for the database. */
  readonly tried: () => Promise<void>
  /** Writes what is there, and takes nothing from then on. */
  readonly close: () => Promise<void>
}

/** Somebody waits until so many batches have been tried. */
interface Asking {
  readonly upTo: number
  readonly resolve: () => void
}

export interface WriterOptions {
  /** Never rejects. */
  readonly write: (prepared: Prepared) => Promise<Outcome>
  readonly onDone: (batches: number, lost: number) => void
  /** Before each work; it may block if it is much, and nobody waits for it. */
  readonly rest?: (mayRest: boolean) => void
}

export function createWriter({ write, onDone, rest = () => {} }: WriterOptions): Writer {
  const newId = createIds()
  const waiting: Batch[] = []
  let waitingRecords = 0
  /** Batches that ever came, and of these how many are done with. */
  let added = 0
  let finished = 0
  let asking: readonly Asking[] = []
  /** Under way, of so many batches. */
  let parts: Prepared[] = []
  let batches = 0
  let lost = 0
  let refusals = 0
  let running: Promise<void> | undefined
  let closed = false
  let retry: NodeJS.Timeout | undefined
  let retryMs = FIRST_RETRY_MS

  function take(): void {
    const together: Batch[] = []
    let size = 0
    for (let first = waiting[0]; first !== undefined && size < MAX_TOGETHER; first = waiting[0]) {
      together.push(first)
      size += first.count
      waiting.shift()
    }
    waitingRecords -= size
    batches = together.length
    if (batches === 0) return
    const read = prepare(together, newId)
    parts = [read.prepared]
    lost = read.lost
  }

  /** False when it has to wait. */
  async function writeNext(part: Prepared): Promise<boolean> {
    const outcome = await write(part)
    if (outcome === 'later') return false
    refusals = outcome === 'kept' ? 0 : refusals + 1
    const smaller = outcome === 'refused' && refusals <= MAX_REFUSALS ? halves(part) : []
    if (outcome === 'refused' && (smaller === undefined || smaller.length === 0)) lost += part.records.length
    parts = [...(smaller ?? []), ...parts.slice(1)]
    return true
  }

  async function writeAll(): Promise<void> {
    clearTimeout(retry)
    retry = undefined
    for (;;) {
      if (parts.length === 0) {
        // The other messages that have come are read first: their records go into the same transaction.
        await setImmediate()
        const mayRest = asking.length === 0 && waitingRecords > BEHIND
        rest(mayRest)
        if (mayRest) await setImmediate()
        take()
      }
      const [part] = parts
      if (part === undefined) return
      if (!(await writeNext(part))) {
        retry = setTimeout(start, retryMs)
        retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)
        return
      }
      retryMs = FIRST_RETRY_MS
      if (parts.length > 0) continue
      onDone(batches, lost)
      finished += batches
      answer((one) => one.upTo <= finished)
      batches = 0
      lost = 0
      refusals = 0
    }
  }

  function answer(isAnswered: (one: Asking) => boolean): void {
    const answered = asking.filter(isAnswered)
    asking = asking.filter((one) => !answered.includes(one))
    for (const { resolve } of answered) resolve()
  }

  async function run(): Promise<void> {
    do {
      const before = asking
      await writeAll()
      answer((one) => one.upTo <= finished || before.includes(one))
      // Where it has to wait, those who have come meanwhile have a try of their own, together.
    } while (asking.length > 0 || (retry === undefined && waiting.length > 0))
    running = undefined
  }

  function start(): void {
    running ??= run()
  }

  function tried(): Promise<void> {
    return new Promise((resolve) => {
      asking = [...asking, { upTo: added, resolve }]
      start()
    })
  }

  return {
    add(batch) {
      if (closed) return
      waiting.push(batch)
      waitingRecords += batch.count
      added += 1
      if (retry === undefined) start()
    },
    tried,
    async close() {
      await tried()
      // What came meanwhile is written too, unless the database is away.
      await running
      closed = true
      clearTimeout(retry)
    },
  }
}
