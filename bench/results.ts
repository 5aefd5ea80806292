/** Everything that one run found out: what `--json` prints. */
import { type Aim, type Verdict, verdictOn } from './aims.ts'
import type { CellResult, SkippedCell } from './cell.ts'
import type { Machine } from './machine.ts'
import type { CellName, OtherGateway } from './settings.ts'

export interface Results {
  readonly machine: Machine
  readonly settings: {
    readonly seconds: number
    readonly rounds: number
    readonly quick: boolean
    readonly cells: readonly CellName[]
    readonly others: readonly OtherGateway[]
  }
  /** In the order in which they were measured. */
  readonly cells: readonly Cell[]
  readonly tookSeconds: number
  /** Share of all CPUs that other programs took during the run; undefined where nobody counts it. */
  readonly othersShare: number | undefined
}

export type Cell = { readonly name: CellName } & (CellResult | SkippedCell)

export interface JudgedAim extends Aim {
  readonly cell: CellName
  readonly verdict: Verdict
}

export const isInvalid = (cell: Cell) => 'invalid' in cell && cell.invalid.length > 0

/** Of what does not count nothing is held against an aim, nor for it. */
export const judgedAims = ({ cells }: Pick<Results, 'cells'>): readonly JudgedAim[] =>
  cells.flatMap((cell) =>
    cell.aims.map((aim) => ({
      ...aim,
      cell: cell.name,
      verdict: verdictOn(aim, !isInvalid(cell)),
      ...(isInvalid(cell) && { note: `${cell.name} is INVALID` }),
    })),
  )

const isDoubtful = (cell: Cell) => 'doubtful' in cell && (cell.doubtful?.length ?? 0) > 0

/** 3: some of it does not count. Aims that are missed are a result like others. */
export const exitStatus = ({ cells }: Pick<Results, 'cells'>) =>
  cells.some((cell) => isInvalid(cell) || isDoubtful(cell)) ? 3 : 0
