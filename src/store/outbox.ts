/**
 * What waits on the main thread, or in the worker's mailbox, to be written. Bounded: requests that are too much are
 * dropped; samples that are too much, or were lost, become part of the next one, so that the history adds up.
 */
import { createLines } from './lines.ts'
import type { Batch, WrittenRecords } from './messages.ts'
import { writeRecord } from './record.ts'
import type { Finished, MetricSample, MetricValue } from './types.ts'

const MAX_RECORDS = 50_000
const MAX_BYTES = 64 * 1024 * 1024

const BATCH_RECORDS = 512
const BATCH_MS = 200

/**
 * Requests whose JSON is written together. Written one at a time, each between two requests that are served, it takes
 * more than twice as long: the processor has to fetch the code anew.
 */
const WRITTEN_TOGETHER = 64

export interface Outbox {
  /** It is written a little later, and must not change any more but for what is MCP's. */
  readonly addRecord: (finished: Finished) => void
  /** Records that another process has written, as its outbox sends them; all of them, or none. */
  readonly addBatch: (batch: WrittenRecords) => void
  readonly addSample: (sample: MetricSample) => void
  /** Sends what is there. */
  readonly flush: () => void
  /** The oldest batches that were sent are done with. */
  readonly acknowledge: (batches: number, lost: number) => void
  /** Nobody will acknowledge what was sent. */
  readonly loseSent: () => void
  /** Drops all, and whatever may come. */
  readonly close: () => void
}

interface Sent {
  readonly records: number
  readonly samples: readonly string[]
  readonly bytes: number
}

/** `send` returns false when nobody takes anything at the moment. */
export function createOutbox(send: (batch: Batch) => boolean, onDropped: (count: number) => void): Outbox {
  let unwritten: Finished[] = []
  const lines = createLines()
  let samples: string[] = []
  let sampleBytes = 0
  let leftOver: MetricSample | undefined
  const sent: Sent[] = []
  let sentRecords = 0
  let sentBytes = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const drop = (count: number) => {
    if (count > 0) onDropped(count)
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    write()
    const batch = { count: lines.count(), lines: lines.chunks(), samples }
    const bytes = lines.bytes() + sampleBytes
    if (batch.count + samples.length === 0 || !send(batch)) return
    sent.push({ records: batch.count, samples, bytes })
    sentRecords += batch.count
    sentBytes += bytes
    lines.clear()
    samples = []
    sampleBytes = 0
  }

  function write(): void {
    const finished = unwritten
    unwritten = []
    for (const one of finished) {
      const json = written(one)
      if (json === undefined || tooLong(json)) drop(1)
      else lines.add(json)
    }
  }

  const tooMany = () => sentRecords + lines.count() + unwritten.length >= MAX_RECORDS
  const tooLong = (json: string) => !hasRoom(json.length)
  const hasRoom = (more: number) => sentBytes + lines.bytes() + sampleBytes + more <= MAX_BYTES

  function flushSoon(): void {
    timer ??= setTimeout(flush, BATCH_MS).unref()
  }

  function forget(count: number): readonly Sent[] {
    const forgotten = sent.splice(0, count)
    for (const batch of forgotten) {
      sentRecords -= batch.records
      sentBytes -= batch.bytes
    }
    return forgotten
  }

  const recordsIn = (batches: readonly Sent[]) => batches.reduce((sum, batch) => sum + batch.records, 0)

  return {
    addRecord(finished) {
      if (closed || tooMany()) return drop(1)
      unwritten.push(finished)
      // A call that asks its client goes on in another request, and changes: of this one it is written as it is.
      if (unwritten.length >= WRITTEN_TOGETHER || finished.exchange.mcp !== undefined) write()
      if (lines.count() >= BATCH_RECORDS) flush()
      else flushSoon()
    },
    addBatch(batch) {
      const size = batch.lines.reduce((sum, chunk) => sum + chunk.length, 0)
      if (closed || tooMany() || !hasRoom(size)) return drop(batch.count)
      // Of several chunks the last stands for all: only the sum is of interest.
      for (const [index, chunk] of batch.lines.entries())
        lines.addChunk(chunk, index === batch.lines.length - 1 ? batch.count : 0)
      if (lines.count() >= BATCH_RECORDS) flush()
      else flushSoon()
    },
    addSample(sample) {
      const whole = leftOver === undefined ? sample : merged(leftOver, sample)
      const json = JSON.stringify(whole)
      leftOver = closed || tooMany() || tooLong(json) ? whole : undefined
      if (leftOver !== undefined) return
      samples.push(json)
      sampleBytes += json.length
      flushSoon()
    },
    flush,
    acknowledge(batches, lost) {
      forget(batches)
      drop(lost)
    },
    loseSent() {
      const lost = forget(sent.length)
      for (const json of lost.flatMap((batch) => batch.samples)) {
        const sample = JSON.parse(json) as MetricSample
        leftOver = leftOver === undefined ? sample : merged(leftOver, sample)
      }
      drop(recordsIn(lost))
    },
    close() {
      closed = true
      clearTimeout(timer)
      drop(recordsIn(forget(sent.length)) + lines.count() + unwritten.length)
      unwritten = []
      lines.clear()
      samples = []
    },
  }
}

function written(finished: Finished): string | undefined {
  try {
    return writeRecord(finished)
  } catch {
    return undefined
  }
}

/** What metrics have grown by in both, and where they stood last. */
function merged(earlier: MetricSample, later: MetricSample): MetricSample {
  const increments = new Map<string, MetricValue>()
  for (const one of [...earlier.increments, ...later.increments]) {
    const key = JSON.stringify([one.name, one.labels])
    increments.set(key, { ...one, value: one.value + (increments.get(key)?.value ?? 0) })
  }
  return { ...later, increments: [...increments.values()] }
}
