/** What we set out to reach, and whether a run reached it. */
import type { Spread } from './statistics.ts'
import { number, spreadText } from './table.ts'

export type Bound = { readonly atLeast: number } | { readonly atMost: number } | { readonly below: number }

export interface Aim {
  /** What is measured, without the bound. */
  readonly what: string
  readonly bound: Bound
  readonly unit: '' | 'ms' | 'KB' | 'MB'
  /** Undefined when the run could not tell. */
  readonly value: Spread | undefined
  /** Why it could not, or what is to be known about the value. */
  readonly note?: string
}

export type Verdict = 'holds' | 'MISSED' | 'not measured'

/** By the median. A cell that does not count has measured nothing, whatever its figures are. */
export function verdictOn({ bound, value }: Aim, cellCounts: boolean): Verdict {
  if (!cellCounts || value === undefined || !Number.isFinite(value.median)) return 'not measured'
  return reaches(bound, value.median) ? 'holds' : 'MISSED'
}

function reaches(bound: Bound, value: number): boolean {
  if ('atLeast' in bound) return value >= bound.atLeast
  return 'atMost' in bound ? value <= bound.atMost : value < bound.below
}

const withUnit = (text: string, unit: Aim['unit']) => (unit === '' ? text : `${text} ${unit}`)

export function boundText({ bound, unit }: Aim): string {
  if ('atLeast' in bound) return withUnit(`>= ${bound.atLeast}`, unit)
  return 'atMost' in bound ? withUnit(`<= ${bound.atMost}`, unit) : withUnit(`< ${bound.below}`, unit)
}

export const valueText = ({ value, unit }: Aim) => {
  if (value === undefined) return number(undefined)
  const digits = Math.abs(value.median) >= 100 ? 0 : Math.abs(value.median) >= 10 ? 1 : 3
  return withUnit(spreadText(value, digits), unit)
}
