/** Columns of text, for a terminal or a code block. */
import type { Spread } from './statistics.ts'

/** The first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((known, row) => {
    row.forEach((cell, column) => {
      known[column] = Math.max(known[column] ?? 0, cell.length)
    })
    return known
  }, [])
  const line = (row: readonly string[]) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
  return rows.map((row) => `  ${line(row).join('  ').trimEnd()}\n`).join('')
}

export const NONE = '-'

export const number = (value: number | undefined, digits = 0) =>
  value === undefined || !Number.isFinite(value) ? NONE : value.toFixed(digits)

/** `median (min-max)`. */
export const spreadText = (value: Spread | undefined, digits = 0) =>
  value === undefined
    ? NONE
    : `${number(value.median, digits)} (${number(value.min, digits)} to ${number(value.max, digits)})`

export const percent = (share: number | undefined) => (share === undefined ? NONE : `${number(share * 100)}%`)

/** By medians, and by the best round of each: noise only ever slows down. */
export function ratios(value: Spread | undefined, to: Spread | undefined, best: 'min' | 'max'): string {
  if (value === undefined || to === undefined) return NONE
  return `${number(value.median / to.median, 2)}x / ${number(value[best] / to[best], 2)}x`
}
