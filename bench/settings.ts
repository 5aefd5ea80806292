/** What every cell needs to know about the run. */
export interface Settings {
  /** Of each measurement. */
  readonly seconds: number
  readonly rounds: number
  readonly quick: boolean
  readonly progress: (message: string) => void
}
