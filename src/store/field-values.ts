/**
 * The dictionary of values: what each field was on which days, for filters, and as members of the roll-ups by field.
 *
 * The number of a value is a hash of it, as with `dimensions.ts`. Clients choose some of the values: those that are
 * too many for a day are counted under `…`.
 */
import { type Insert, numberOf, type Sql, type SqlValue } from './database.ts'
import { DAY_MS, hash, PERSONAL } from './dimensions.ts'
import { REST } from './fields.ts'
import type { RequestRecord } from './record.ts'
import { GROUP_FIELDS, type GroupField } from './types.ts'

/** Of a field in a day. */
const MAX_VALUES = 1000

/** Days that are remembered: records come from today, or just before midnight. */
const MAX_DAYS = 4

const INSERT: Insert = {
  table: 'field_values',
  columns: ['id', 'field', 'value', 'first_day', 'last_day'],
  conflict: `(id) DO UPDATE SET
    first_day = CASE WHEN excluded.first_day < t.first_day THEN excluded.first_day ELSE t.first_day END,
    last_day = CASE WHEN excluded.last_day > t.last_day THEN excluded.last_day ELSE t.last_day END`,
}

/** Of each field the numbers of the values that are known to be in the table, by value. */
type Day = ReadonlyMap<GroupField, Map<string, number>>

/** Stands for no value. */
export const NONE = 0

export interface Values {
  /** The numbers of each record's personal values. `kept` is to be called when the transaction has succeeded. */
  readonly write: (
    sql: Sql,
    records: readonly RequestRecord[],
  ) => Promise<{ readonly numbers: readonly ReadonlyMap<GroupField, number>[]; readonly kept: () => void }>
}

export const fieldNumber = (field: GroupField) => GROUP_FIELDS.indexOf(field)

export function createValues(): Values {
  const days = new Map<number, Day>()

  async function load(sql: Sql, day: number): Promise<Day> {
    const known = days.get(day)
    if (known !== undefined) return known
    const loaded: Day = new Map(GROUP_FIELDS.map((field) => [field, new Map()]))
    const rows = await sql.all(
      'SELECT id, field, value FROM field_values WHERE last_day >= ? AND first_day <= ?',
      [day, day],
    )
    for (const row of rows) {
      const field = GROUP_FIELDS[numberOf(row, 'field')]
      if (field !== undefined) loaded.get(field)?.set(String(row.value), numberOf(row, 'id'))
    }
    return loaded
  }

  return {
    async write(sql, records) {
      const loaded = new Map<number, Day>()
      const rows = new Map<string, readonly SqlValue[]>()
      const numbers: ReadonlyMap<GroupField, number>[] = []
      for (const { completedAt, fields } of records) {
        const number = Math.floor(completedAt / DAY_MS)
        const day = loaded.get(number) ?? (await load(sql, number))
        loaded.set(number, day)
        const found = new Map<GroupField, number>()
        for (const [index, field] of GROUP_FIELDS.entries()) {
          const value = fields[field]
          if (value === null) continue
          const known = day.get(field)
          let id = known?.get(String(value))
          if (id === undefined) {
            const text = (known?.size ?? 0) < MAX_VALUES ? String(value) : REST
            id = hash(`${index}\0${text}`)
            if (!known?.has(text)) rows.set(`${number} ${id}`, [id, index, text, number, number])
            known?.set(text, id)
          }
          if (PERSONAL.includes(field)) found.set(field, id)
        }
        numbers.push(found)
      }
      for (const day of loaded.keys()) days.delete(day)
      // One statement may touch a row only once; in one order, so that no gateway waits for another in a circle.
      for (const day of loaded.keys()) {
        const ofDay = [...rows.values()].filter((row) => row[3] === day)
        await sql.insert(
          INSERT,
          ofDay.sort(([one], [other]) => Number(one) - Number(other)),
        )
      }
      return {
        numbers,
        kept() {
          for (const [number, day] of loaded) days.set(number, day)
          for (const number of days.keys()) if (days.size > MAX_DAYS) days.delete(number)
        },
      }
    },
  }
}
