/** Columns of text, for a terminal or a Markdown file. */
import type { Spread } from './statistics.ts'

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Words in all columns: all to the left. Else the first to the left, the others to the right. */
  readonly ofWords?: boolean
}

export function textTable({ head, rows, ofWords = false }: Table): string {
  const all = head.every((cell) => cell === '') ? rows : [head, ...rows]
  const widths = all.reduce<number[]>((known, row) => {
    row.forEach((cell, column) => {
      known[column] = Math.max(known[column] ?? 0, cell.length)
    })
    return known
  }, [])
  const line = (row: readonly string[]) =>
    row.map((cell, column) =>
      column === 0 || ofWords ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
  return all.map((row) => `  ${line(row).join('  ').trimEnd()}\n`).join('')
}

export function markdownTable({ head, rows, ofWords = false }: Table): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  const under = head.map((_, column) => (column === 0 || ofWords ? '---' : '---:'))
  return [head, under, ...rows].map(line).join('')
}

export const NONE = '-'

export const number = (value: number | undefined, digits = 0) =>
  value === undefined || !Number.isFinite(value) ? NONE : value.toFixed(digits)

/** `median (min to max)`; of one round just the figure. */
export function spreadText(value: Spread | undefined, digits = 0): string {
  if (value === undefined) return NONE
  const middle = number(value.median, digits)
  return value.min === value.max
    ? middle
    : `${middle} (${number(value.min, digits)} to ${number(value.max, digits)})`
}

export const percent = (share: number | undefined) => (share === undefined ? NONE : `${number(share * 100)}%`)

export const times = (value: Spread | undefined) => (value === undefined ? NONE : `${spreadText(value, 2)} x`)
