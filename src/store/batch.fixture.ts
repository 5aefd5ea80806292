import { createLines } from './lines.ts'
import type { Batch } from './messages.ts'

/** What `writeRecord` wrote, and the JSON of samples. */
export interface Written {
  readonly records?: readonly string[]
  readonly samples?: readonly string[]
}

/** As the main thread sends it. */
export function batchOf({ records = [], samples = [] }: Written): Batch {
  const lines = createLines()
  for (const record of records) lines.add(record)
  return { count: records.length, lines: lines.chunks(), samples }
}
