/** What is to be written, read once however often it is tried. */
import type { Batch } from './messages.ts'
import { type RequestRecord, readRecords, toRecord } from './record.ts'
import type { MetricSample } from './types.ts'

export interface Prepared {
  readonly records: readonly RequestRecord[]
  /** Of the records. The same with every try: they tell whether one that was thought to have failed has succeeded. */
  readonly ids: readonly string[]
  readonly samples: readonly MetricSample[]
}

/** `lost` are records of which no row can be made. */
export function prepare(
  batches: readonly Batch[],
  newId: (completedAt: number) => string,
): { readonly prepared: Prepared; readonly lost: number } {
  const records: RequestRecord[] = []
  let lost = 0
  for (const tape of batches.flatMap(({ tapes }) => tapes)) {
    for (const finished of readRecords(tape)) {
      try {
        records.push(toRecord(finished))
      } catch {
        lost += 1
      }
    }
  }
  const ids = records.map(({ completedAt }) => newId(completedAt))
  const samples = batches.flatMap((batch) => batch.samples.map((json) => JSON.parse(json) as MetricSample))
  return { prepared: { records, ids, samples }, lost }
}

/** Halves, to find what is to blame; undefined for one thing alone. */
export function halves({ records, ids, samples }: Prepared): readonly Prepared[] | undefined {
  if (records.length > 0 && samples.length > 0) {
    return [
      { records, ids, samples: [] },
      { records: [], ids: [], samples },
    ]
  }
  const size = Math.max(records.length, samples.length)
  if (size < 2) return undefined
  const middle = Math.ceil(size / 2)
  return [
    [0, middle],
    [middle, size],
  ].map(([from, to]) => ({
    records: records.slice(from, to),
    ids: ids.slice(from, to),
    samples: samples.slice(from, to),
  }))
}
