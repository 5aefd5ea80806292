/**
 * Comma-separated values (RFC 4180) that spreadsheets open safely.
 *
 * A cell that begins like a formula is run by Excel and others, and names of models and users come from outside:
 * such text gets an apostrophe in front. https://owasp.org/www-community/attacks/CSV_Injection
 */
type Cell = string | number | undefined

const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/

function cell(value: Cell): string {
  if (value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const safe = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export function toCsv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('')
}
