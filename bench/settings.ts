/** What every cell needs to know about the run. */
export interface Settings {
  /** Of each measurement. */
  readonly seconds: number
  readonly rounds: number
  readonly quick: boolean
  /** Gateways that run already. */
  readonly others: readonly OtherGateway[]
  /** Where upstreams listen, for gateways that cannot be told; undefined: anywhere. */
  readonly upstreamPort: number | undefined
  readonly progress: (message: string) => void
}

export interface OtherGateway {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Before `/chat/completions`. */
  readonly base: string
}

export const CELLS = [
  'saturation',
  'store',
  'workers',
  'latency',
  'streams',
  'held-streams',
  'large-prompts',
  'scrape',
  'start',
  'mcp-latency',
  'mcp-memory',
] as const
export type CellName = (typeof CELLS)[number]

/** Long enough for Node to have compiled what runs often. */
export const warmUpSeconds = ({ quick }: Settings) => (quick ? 0.5 : 3)

/** Until memory is what it stays at. */
export const settleMs = ({ quick }: Settings) => (quick ? 300 : 2000)
