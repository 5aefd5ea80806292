/**
 * What waits on the main thread, or in the worker's mailbox, to be written. Bounded: requests that are too much are
 * dropped; samples that are too much, or were lost, become part of the next one, so that the history adds up.
 */
import type { Batch } from './messages.ts'
import type { MetricSample, MetricValue } from './types.ts'

const MAX_RECORDS = 50_000
const MAX_CHARACTERS = 64 * 1024 * 1024

const BATCH_RECORDS = 500
const BATCH_MS = 200

export interface Outbox {
  readonly addRecord: (json: string) => void
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
  readonly characters: number
}

/** `send` returns false when nobody takes anything at the moment. */
export function createOutbox(send: (batch: Batch) => boolean, onDropped: (count: number) => void): Outbox {
  let records: string[] = []
  let samples: string[] = []
  let characters = 0
  let leftOver: MetricSample | undefined
  const sent: Sent[] = []
  let sentRecords = 0
  let sentCharacters = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const drop = (count: number) => {
    if (count > 0) onDropped(count)
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (records.length + samples.length === 0 || !send({ records, samples })) return
    sent.push({ records: records.length, samples, characters })
    sentRecords += records.length
    sentCharacters += characters
    records = []
    samples = []
    characters = 0
  }

  const full = (json: string) =>
    closed ||
    sentRecords + records.length >= MAX_RECORDS ||
    sentCharacters + characters + json.length > MAX_CHARACTERS

  function added(json: string): void {
    characters += json.length
    if (records.length >= BATCH_RECORDS && records.length % BATCH_RECORDS === 0) flush()
    else timer ??= setTimeout(flush, BATCH_MS).unref()
  }

  function forget(count: number): readonly Sent[] {
    const forgotten = sent.splice(0, count)
    for (const batch of forgotten) {
      sentRecords -= batch.records
      sentCharacters -= batch.characters
    }
    return forgotten
  }

  const recordsIn = (batches: readonly Sent[]) => batches.reduce((sum, batch) => sum + batch.records, 0)

  return {
    addRecord(json) {
      if (full(json)) return drop(1)
      records.push(json)
      added(json)
    },
    addSample(sample) {
      const whole = leftOver === undefined ? sample : merged(leftOver, sample)
      const json = JSON.stringify(whole)
      leftOver = full(json) ? whole : undefined
      if (leftOver !== undefined) return
      samples.push(json)
      added(json)
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
      drop(recordsIn(forget(sent.length)) + records.length)
      records = []
      samples = []
    },
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
