/** What the doctor asks a Prometheus. https://prometheus.io/docs/prometheus/latest/querying/api/ */
import { z } from 'zod'
import type { Examination } from './examination.ts'
import { isFault, type Read, under } from './http.ts'

const buildInfo = z.object({ status: z.literal('success'), data: z.object({ version: z.string() }) })

const targets = z.object({
  data: z.object({
    activeTargets: z.array(
      z.object({
        labels: z.record(z.string(), z.string()),
        scrapeUrl: z.string(),
        health: z.string(),
        lastError: z.string().default(''),
        lastScrape: z.string(),
        scrapeInterval: z.string().optional(),
      }),
    ),
  }),
})
export type Target = z.infer<typeof targets>['data']['activeTargets'][number]

const vector = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
})

const exemplars = z.object({
  data: z
    .array(z.object({ exemplars: z.array(z.object({ labels: z.record(z.string(), z.string()) })) }))
    .nullable(),
})

export function prometheusOf({ addresses, http, now }: Examination, signal: AbortSignal) {
  const get = <T>(path: string, schema: z.ZodType<T>) =>
    http.json(under(addresses.prometheus, `/api/v1/${path}`), schema, { signal })

  /** The first sample of an instant vector; undefined when there is none. */
  async function value(promql: string): Promise<Read<number | undefined>> {
    const read = await get(`query?${new URLSearchParams({ query: promql })}`, vector)
    if (isFault(read)) return read
    const sample = read.value.data.result[0]?.value[1]
    return { value: sample === undefined ? undefined : Number(sample) }
  }

  return {
    value,
    buildInfo: () => get('status/buildinfo', buildInfo),
    async targets(): Promise<Read<readonly Target[]>> {
      const read = await get('targets?state=active', targets)
      return isFault(read) ? read : { value: read.value.data.activeTargets }
    },
    /** How far its clock is ahead of ours, to some milliseconds: its virtual machine's may have stood still. */
    async aheadMs(): Promise<number> {
      const askedAt = now()
      const read = await value('vector(time())')
      return isFault(read) || read.value === undefined ? 0 : read.value * 1000 - (askedAt + now()) / 2
    },
    async exemplarTraceIds(family: string, sinceMs: number): Promise<readonly string[]> {
      const range = { query: family, start: String(sinceMs / 1000 - 60), end: String(sinceMs / 1000 + 3600) }
      const read = await get(`query_exemplars?${new URLSearchParams(range)}`, exemplars)
      if (isFault(read)) return []
      return (read.value.data ?? []).flatMap((series) =>
        series.exemplars.map(({ labels }) => labels.trace_id ?? ''),
      )
    },
  }
}

/** A matcher of the target's own series. */
export const selectorOf = ({ labels }: Target) =>
  `{job=${JSON.stringify(labels.job ?? '')},instance=${JSON.stringify(labels.instance ?? '')}}`
