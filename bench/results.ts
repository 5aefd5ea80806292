/** Everything that one run found out: what `--json` prints. */
import type { ColdStart } from './cold-start.ts'
import type { LatencyRow } from './latency.ts'
import type { Machine } from './machine.ts'
import type { McpLatencyRow } from './mcp-latency.ts'
import type { SessionMemory } from './mcp-memory.ts'
import type { Memory } from './memory.ts'
import type { Saturation } from './saturation.ts'
import type { CellName } from './settings.ts'
import type { StreamRow } from './streams.ts'

export interface Results {
  readonly machine: Machine
  readonly settings: {
    readonly seconds: number
    readonly rounds: number
    readonly quick: boolean
    readonly cells: readonly CellName[]
  }
  /** These are undefined where `cells` leaves them out; memory, also where nobody counts it. */
  readonly saturation: Saturation | undefined
  readonly latency: readonly LatencyRow[] | undefined
  readonly streams: readonly StreamRow[] | undefined
  readonly memory: Memory | undefined
  readonly coldStart: ColdStart | undefined
  readonly mcpLatency: readonly McpLatencyRow[] | undefined
  readonly mcpMemory: readonly SessionMemory[] | undefined
  readonly tookSeconds: number
  /** Share of all CPUs that other programs took during the run; undefined where nobody counts it. */
  readonly othersShare: number | undefined
}
