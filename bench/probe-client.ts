/** Asks `children/probe.ts` in a gateway what its event loop has done since it was asked last. */
import { z } from 'zod'
import { durations } from './histogram.ts'
import type { OwnTarget } from './targets.ts'

const probeSchema = z.object({ activeMs: z.number(), idleMs: z.number(), delaysMs: z.array(z.number()) })

export async function readProbe({ probePort }: OwnTarget) {
  const response = await fetch(`http://127.0.0.1:${probePort}/`)
  const { activeMs, delaysMs } = probeSchema.parse(await response.json())
  const delays = durations()
  for (const ms of delaysMs) delays.record(ms)
  return { activeMs, delays }
}
