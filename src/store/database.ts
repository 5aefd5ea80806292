/**
 * What the store needs of a database, so that its SQL is written once.
 *
 * The SQL is the common subset of SQLite and PostgreSQL with `?` as placeholder. A number is bound as floating
 * point by SQLite: where a statement divides by a parameter it casts it first.
 */

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

/** Rows of one table, inserted by one statement as often as it takes. */
export interface Insert {
  readonly table: string
  readonly columns: readonly string[]
  /** What follows `ON CONFLICT`; the table's own row is `t` there. No two rows of a call may conflict. */
  readonly conflict?: string
  readonly returning?: string
}

export interface Sql {
  readonly all: (sql: string, parameters?: readonly SqlValue[]) => Promise<readonly Row[]>
  /** How many rows it changed. */
  readonly run: (sql: string, parameters?: readonly SqlValue[]) => Promise<number>
  /** Nothing, unless `returning` asks for it. */
  readonly insert: (insert: Insert, rows: readonly (readonly SqlValue[])[]) => Promise<readonly Row[]>
}

/** Where the two differ in how a table is made. */
export interface Dialect {
  /** Text that is compared byte by byte, whatever the database's locale. */
  readonly text: string
  /** Follows the columns of a table that is kept in the order of its key. */
  readonly clustered: string
}

/** What only one gateway at a time may do. */
export type Lock = 'migration' | 'retention'

export interface Database extends Sql {
  readonly kind: 'sqlite' | 'postgres'
  readonly dialect: Dialect
  /** For writing. With a lock it first waits until nobody else holds it. */
  readonly transaction: <T>(work: (sql: Sql) => Promise<T>, lock?: Lock) => Promise<T>
  /** `free` is the part of `total` that nothing lies in. */
  readonly bytes: () => Promise<{ readonly total: number; readonly free: number }>
  /** What the tables and their indexes take. SQLite only. */
  readonly bytesOf: (names: readonly string[]) => Promise<number>
  /** The server's clock; the caller's where there is no server. */
  readonly now: () => Promise<number>
  /** False when somebody has deleted or replaced the file that is open. */
  readonly isInPlace: () => boolean
  /** Gives a part of what is free back to the file system, so little that it takes no time. */
  readonly shrink: () => Promise<void>
  readonly close: () => Promise<void>
}

/** The text of an `INSERT` of so many rows. */
export function insertText({ table, columns, conflict, returning }: Insert, rows: number): string {
  const places = `(${columns.map(() => '?').join(', ')})`
  const values = Array.from({ length: rows }, () => places).join(', ')
  return [
    `INSERT INTO ${table} AS t (${columns.join(', ')}) VALUES ${values}`,
    ...(conflict === undefined ? [] : [`ON CONFLICT ${conflict}`]),
    ...(returning === undefined ? [] : [`RETURNING ${returning}`]),
  ].join(' ')
}

export const placeholders = (values: readonly unknown[]) => values.map(() => '?').join(', ')

/** A number that the schema says is there. */
export function numberOf(row: Row | undefined, column: string): number {
  const value = row?.[column]
  return typeof value === 'number' ? value : 0
}

export function textOf(row: Row, column: string): string {
  const value = row[column]
  return typeof value === 'string' ? value : ''
}
