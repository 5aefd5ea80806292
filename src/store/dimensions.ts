/**
 * The dictionary of the roll-ups: each combination of values that requests had gets a number.
 *
 * The number is a hash of the values, so that gateways which share a database agree without asking. Clients
 * choose some of the values: once a day has seen too many combinations, those fields become `…`.
 */
import { hash as digestOf } from 'node:crypto'
import { type Insert, numberOf, type Sql, type SqlValue } from './database.ts'
import { REST } from './fields.ts'
import { FIELD_COLUMNS, fieldValues, type RequestRecord } from './record.ts'
import type { GroupField } from './types.ts'

export const DAY_MS = 86_400_000

/** From how many combinations a day on which fields are folded. What is left is what the configuration says. */
const FOLDS: readonly { readonly from: number; readonly fields: readonly GroupField[] }[] = [
  { from: 4000, fields: ['user', 'key', 'userAgentName', 'operation', 'errorType'] },
  { from: 5000, fields: ['requestModel', 'responseModel', 'target', 'group'] },
]

/** Combinations of a day that are remembered to be in the table. */
const MAX_REMEMBERED = 20_000

/** Days that are remembered: records come from today, or just before midnight. */
const MAX_DAYS = 4

const INSERT: Insert = {
  table: 'dimensions',
  columns: ['id', 'first_day', 'last_day', 'failed', ...FIELD_COLUMNS],
  conflict: `(id) DO UPDATE SET
    first_day = CASE WHEN excluded.first_day < t.first_day THEN excluded.first_day ELSE t.first_day END,
    last_day = CASE WHEN excluded.last_day > t.last_day THEN excluded.last_day ELSE t.last_day END`,
}

interface Day {
  /** All that it has. */
  readonly ids: Set<number>
  /** Those that are known to be in the table, by all their values. */
  readonly written: Map<string, Combinations>
}

/** Fields that tell people apart. Without them there are few combinations. */
export const PERSONAL: readonly GroupField[] = ['user', 'key']

/** The numbers of a record's combination: of all fields, and of all but the personal ones. */
export interface Combinations {
  readonly all: number
  readonly common: number
}

export interface Dimensions {
  /** For each record. `kept` is to be called when the transaction has succeeded. */
  readonly write: (
    sql: Sql,
    records: readonly RequestRecord[],
  ) => Promise<{ readonly combinations: readonly Combinations[]; readonly kept: () => void }>
}

/** 53 bits: with a million combinations the chance that any two meet is 1 in 18,000. */
export function hash(text: string): number {
  return Number(digestOf('sha1', text, 'buffer').readBigUInt64BE() >> 11n)
}

export function createDimensions(): Dimensions {
  const days = new Map<number, Day>()

  async function load(sql: Sql, day: number): Promise<Day> {
    const known = days.get(day)
    if (known !== undefined) return known
    const rows = await sql.all('SELECT id FROM dimensions WHERE last_day >= ? AND first_day <= ?', [day, day])
    const loaded: Day = { ids: new Set(rows.map((row) => numberOf(row, 'id'))), written: new Map() }
    const [oldest] = days.keys()
    if (days.size >= MAX_DAYS && oldest !== undefined) days.delete(oldest)
    days.set(day, loaded)
    return loaded
  }

  return {
    async write(sql, records) {
      const fresh: { readonly day: Day; readonly key: string; readonly numbers: Combinations }[] = []
      const rows = new Map<string, readonly SqlValue[]>()

      function numberOfNew(day: Day, number: number, { failed, fields }: Combination): number {
        const { id, values } = place(day, { failed, fields })
        day.ids.add(id)
        rows.set(`${id} ${number}`, [id, number, number, failed ? 1 : 0, ...values])
        return id
      }

      const combinations: Combinations[] = []
      for (const { completedAt, failed, fields } of records) {
        const number = Math.floor(completedAt / DAY_MS)
        const day = await load(sql, number)
        const key = keyOf(failed, fieldValues(fields))
        let numbers = day.written.get(key)
        if (numbers === undefined) {
          numbers = {
            all: numberOfNew(day, number, { failed, fields }),
            common: numberOfNew(day, number, { failed, fields: { ...fields, ...NOBODY } }),
          }
          fresh.push({ day, key, numbers })
        }
        combinations.push(numbers)
      }
      await upsert(sql, [...rows.values()])
      return {
        combinations,
        kept() {
          for (const { day, key, numbers } of fresh) {
            // What was folded is not remembered one by one: it has no bound.
            if (day.written.size < MAX_REMEMBERED) day.written.set(key, numbers)
          }
        },
      }
    },
  }
}

type Combination = Pick<RequestRecord, 'failed' | 'fields'>

const NOBODY = Object.fromEntries(PERSONAL.map((field) => [field, null]))

// No value is empty or has the character 0 in it.
const keyOf = (failed: boolean, values: readonly SqlValue[]) => `${failed}\0${values.join('\0')}`

/** The record's combination, folded as far as the day demands. */
function place(day: Day, { failed, fields }: Combination) {
  let folded = fields
  let id = hash(keyOf(failed, fieldValues(folded)))
  for (const fold of FOLDS) {
    if (day.ids.has(id) || day.ids.size < fold.from) break
    const rest = Object.fromEntries(
      fold.fields.filter((field) => fields[field] !== null).map((field) => [field, REST]),
    )
    folded = { ...folded, ...rest }
    id = hash(keyOf(failed, fieldValues(folded)))
  }
  return { id, values: fieldValues(folded) }
}

/** A combination may be there for two days: one statement may touch a row only once. */
async function upsert(sql: Sql, rows: readonly (readonly SqlValue[])[]): Promise<void> {
  const rounds: Map<SqlValue, readonly SqlValue[]>[] = []
  for (const row of rows) {
    const id = row[0] ?? null
    let round = rounds.find((one) => !one.has(id))
    if (round === undefined) {
      round = new Map()
      rounds.push(round)
    }
    round.set(id, row)
  }
  for (const round of rounds) {
    // All gateways go through the rows in the same order, so that none waits for another in a circle.
    await sql.insert(
      INSERT,
      [...round.values()].sort(([a], [b]) => Number(a) - Number(b)),
    )
  }
}
