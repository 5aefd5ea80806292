/** What every cell needs to know about the run. */
export interface Settings {
  /** Of each measurement. */
  readonly seconds: number
  readonly rounds: number
  readonly quick: boolean
  readonly progress: (message: string) => void
}

export const CELLS = [
  'saturation',
  'latency',
  'streams',
  'memory',
  'cold-start',
  'mcp-latency',
  'mcp-memory',
] as const
export type CellName = (typeof CELLS)[number]

/** Long enough for Node to have compiled what runs often. */
export const warmUpSeconds = ({ quick }: Settings) => (quick ? 1 : 3)
