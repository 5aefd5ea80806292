/** What every cell needs to know about the run. */
export interface Settings {
  /** Of each measurement. */
  readonly seconds: number
  readonly rounds: number
  readonly quick: boolean
  readonly progress: (message: string) => void
}

/** Long enough for Node to have compiled what runs often. */
export const warmUpSeconds = ({ quick }: Settings) => (quick ? 1 : 3)
