/**
 * What waits on the main thread, or in the worker's mailbox, to be written. Bounded: what is too much is dropped.
 */
import type { Batch } from './messages.ts'

const MAX_RECORDS = 50_000
const MAX_CHARACTERS = 64 * 1024 * 1024

const BATCH_RECORDS = 500
const BATCH_MS = 200

export interface Outbox {
  readonly addRecord: (json: string) => void
  readonly addSample: (json: string) => void
  /** Sends what is there. */
  readonly flush: () => void
  /** The oldest batches that were sent are done with. */
  readonly acknowledge: (batches: number, lost: number) => void
  /** Nobody will acknowledge what was sent. */
  readonly loseSent: () => void
  /** Drops all, and whatever may come. */
  readonly close: () => void
}

/** `send` returns false when nobody takes anything at the moment. */
export function createOutbox(send: (batch: Batch) => boolean, onDropped: (count: number) => void): Outbox {
  let records: string[] = []
  let samples: string[] = []
  let characters = 0
  const sent: { readonly records: number; readonly characters: number }[] = []
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
    sent.push({ records: records.length, characters })
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

  function forget(count: number): number {
    let lost = 0
    for (const batch of sent.splice(0, count)) {
      lost += batch.records
      sentRecords -= batch.records
      sentCharacters -= batch.characters
    }
    return lost
  }

  return {
    addRecord(json) {
      if (full(json)) return drop(1)
      records.push(json)
      added(json)
    },
    addSample(json) {
      if (full(json)) return
      samples.push(json)
      added(json)
    },
    flush,
    acknowledge(batches, lost) {
      forget(batches)
      drop(lost)
    },
    loseSent: () => drop(forget(sent.length)),
    close() {
      closed = true
      clearTimeout(timer)
      drop(forget(sent.length) + records.length)
      records = []
      samples = []
    },
  }
}
