/** What a cell of the benchmark gives: a table, figures, verdicts, and whether any of it counts. */
import type { Aim } from './aims.ts'
import type { Judged } from './rounds.ts'
import type { Settings } from './settings.ts'
import type { Table } from './table.ts'
import type { Setup } from './targets.ts'

export interface CellResult {
  /** Under which circumstances, in a line. */
  readonly about: string
  readonly table: Table
  readonly aims: readonly Aim[]
  /** In which figures nginx is ahead. */
  readonly behind?: readonly string[]
  /** Rounds that were left out, and why. */
  readonly dropped: Judged<unknown>['dropped']
  /** Why none of it counts; empty when it does. */
  readonly invalid: Judged<unknown>['invalid']
  /** Why figures of the last percent do not count although the others do. */
  readonly doubtful?: readonly string[]
  /** For the JSON. */
  readonly figures: unknown
}

export interface SkippedCell {
  /** Why. */
  readonly skipped: string
  /** Still printed, as not measured. */
  readonly aims: readonly Aim[]
}

export type Measure = (setup: Setup, settings: Settings) => Promise<CellResult | SkippedCell>
