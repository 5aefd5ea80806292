/** Everything that one run found out: what `--json` prints. */
import type { ColdStart } from './cold-start.ts'
import type { LatencyRow } from './latency.ts'
import type { Machine } from './machine.ts'
import type { Memory } from './memory.ts'
import type { Saturation } from './saturation.ts'
import type { StreamRow } from './streams.ts'

export interface Results {
  readonly machine: Machine
  readonly settings: { readonly seconds: number; readonly rounds: number; readonly quick: boolean }
  readonly saturation: Saturation
  readonly latency: readonly LatencyRow[]
  readonly streams: readonly StreamRow[]
  readonly memory: Memory | undefined
  readonly coldStart: ColdStart
  readonly tookSeconds: number
  /** Share of all CPUs that other programs took during the run; undefined where nobody counts it. */
  readonly othersShare: number | undefined
}
