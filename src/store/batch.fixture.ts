import type { Batch } from './messages.ts'
import { type RequestRecord, readRecords, toRecord, writeRecord } from './record.ts'
import { Tape, type WrittenTape } from './tape.ts'
import type { Finished } from './types.ts'

export interface Written {
  readonly records?: readonly Finished[]
  /** JSON. */
  readonly samples?: readonly string[]
}

export function tapeOf(records: readonly Finished[]): WrittenTape {
  const tape = new Tape()
  for (const record of records) writeRecord(tape, record)
  return tape.take()
}

/** As the worker reads it. */
export function recordOf(finished: Finished): RequestRecord {
  const [read] = readRecords(tapeOf([finished]))
  if (read === undefined) throw new Error('nothing was written')
  return toRecord(read)
}

/** As the main thread sends it. */
export const batchOf = ({ records = [], samples = [] }: Written): Batch => ({
  count: records.length,
  tapes: records.length === 0 ? [] : [tapeOf(records)],
  samples,
  mayWait: false,
})
