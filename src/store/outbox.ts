/**
 * What waits on the main thread, or in the worker's mailbox, to be written. Bounded: requests that are too much are
 * dropped; samples that are too much, or were lost, become part of the next one, so that the history adds up.
 */
import type { Batch, WrittenRecords } from './messages.ts'
import { writeRecord } from './record.ts'
import { bytesOf, Tape, type WrittenTape } from './tape.ts'
import type { Finished, MetricSample, MetricValue } from './types.ts'

const MAX_RECORDS = 80_000
const MAX_BYTES = 64 * 1024 * 1024

/** Share of it: with more taken, what waits is to be written with what processor time there is. */
const ROOMY = 0.75

const BATCH_RECORDS = 512
const BATCH_MS = 200
/** Prompts are long: to write many of them at once would stop the requests of that moment. */
const BATCH_BYTES = 1024 * 1024

export interface Outbox {
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
  const tape = new Tape()
  /** Full ones, and those of others. */
  let tapes: WrittenTape[] = []
  let tapeRecords = 0
  let tapeBytes = 0
  let samples: string[] = []
  let sampleBytes = 0
  let leftOver: MetricSample | undefined
  const sent: Sent[] = []
  let sentRecords = 0
  let sentBytes = 0
  let timer: NodeJS.Timeout | undefined
  /** What was sent last may wait: when nothing has followed it for a while, an empty batch says that this is over. */
  let waits = false
  let closed = false

  const drop = (count: number) => {
    if (count > 0) onDropped(count)
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (tape.records > 0) keepTape(tape.take())
    const bytes = tapeBytes + sampleBytes
    const isFull = tapeRecords >= BATCH_RECORDS || bytes >= BATCH_BYTES
    const taken = Math.max((sentRecords + tapeRecords) / MAX_RECORDS, (sentBytes + bytes) / MAX_BYTES)
    const batch = { count: tapeRecords, tapes, samples, mayWait: isFull && taken < ROOMY }
    const saysNothing = batch.count + samples.length === 0 && !waits
    if (saysNothing || !send(batch)) return
    waits = batch.mayWait
    if (waits) flushSoon()
    sent.push({ records: batch.count, samples, bytes })
    sentRecords += batch.count
    sentBytes += bytes
    forgetTapes()
    samples = []
    sampleBytes = 0
  }

  function keepTape(written: WrittenTape): void {
    tapes.push(written)
    tapeRecords += written.records
    tapeBytes += bytesOf(written)
  }

  function forgetTapes(): void {
    tapes = []
    tapeRecords = 0
    tapeBytes = 0
  }

  const written = () => tapeRecords + tape.records
  const tooMany = () => sentRecords + written() >= MAX_RECORDS
  /** Of what is written here no more is known before: the last record may be too much. */
  const hasRoom = (more: number) => sentBytes + tapeBytes + tape.bytes + sampleBytes + more <= MAX_BYTES

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
      if (closed || tooMany() || !hasRoom(0) || !writeRecord(tape, finished)) return drop(1)
      // Not what waits for somebody to take it: each record would become a tape of its own.
      if (tape.records >= BATCH_RECORDS || tape.bytes >= BATCH_BYTES) flush()
      else flushSoon()
    },
    addBatch(batch) {
      const size = batch.tapes.reduce((sum, one) => sum + bytesOf(one), 0)
      if (closed || tooMany() || !hasRoom(size)) return drop(batch.count)
      for (const one of batch.tapes) keepTape(withOwnMemory(one))
      if (written() >= BATCH_RECORDS) flush()
      else flushSoon()
    },
    addSample(sample) {
      const whole = leftOver === undefined ? sample : merged(leftOver, sample)
      const text = JSON.stringify(whole)
      leftOver = closed || tooMany() || !hasRoom(text.length) ? whole : undefined
      if (leftOver !== undefined) return
      samples.push(text)
      sampleBytes += text.length
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
      drop(recordsIn(forget(sent.length)) + written())
      forgetTapes()
      samples = []
    },
  }
}

/** What came from another process lies in the memory of its message, with all else that was in it. */
const withOwnMemory = (tape: WrittenTape): WrittenTape => ({
  ...tape,
  cells: tape.cells.slice(),
  numbers: tape.numbers.slice(),
})

/** What metrics have grown by in both, and where they stood last. */
function merged(earlier: MetricSample, later: MetricSample): MetricSample {
  const increments = new Map<string, MetricValue>()
  for (const one of [...earlier.increments, ...later.increments]) {
    const key = JSON.stringify([one.name, one.labels])
    increments.set(key, { ...one, value: one.value + (increments.get(key)?.value ?? 0) })
  }
  return { ...later, increments: [...increments.values()] }
}
