/**
 * A `Database` in a file, or in memory.
 *
 * `node:sqlite` works synchronously: it belongs in a worker thread.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { makeFolder } from '../core/make-folder.ts'
import {
  type Database,
  insertText,
  numberOf,
  placeholders,
  type Row,
  type Sql,
  type SqlValue,
} from './database.ts'
import { MEMORY } from './location.ts'

/** Searches differ in their text; what is prepared for them is let go now and then. */
const MAX_STATEMENTS = 200

const BUSY_TIMEOUT_MS = 2000

/** Pages that `shrink` frees at a time: 4 MiB. */
const PAGES_AT_A_TIME = 1000

// https://sqlite.org/rescode.html
const SQLITE_PERM = 3
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_NOMEM = 7
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_PROTOCOL = 15
const SQLITE_NOTADB = 26

/** Without the details that the upper bits tell. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  return error.errcode & 0xff
}

/** The file is no database, or a damaged one. */
export function isCorruption(error: unknown): boolean {
  const code = resultCode(error)
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB
}

/** It may work later without anybody changing the configuration. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return true
  const code = resultCode(error)
  return code === SQLITE_BUSY || code === SQLITE_IOERR || code === SQLITE_FULL
}

const AT_WORK = new Set([
  SQLITE_PERM,
  SQLITE_BUSY,
  SQLITE_LOCKED,
  SQLITE_NOMEM,
  SQLITE_READONLY,
  SQLITE_IOERR,
  SQLITE_FULL,
  SQLITE_CANTOPEN,
  SQLITE_PROTOCOL,
])

/** What was to be written is not to blame: it can be tried again, once the database was open. Undefined: not SQLite's. */
export function isPassingAtWork(error: unknown): boolean | undefined {
  const code = resultCode(error)
  return code === undefined ? undefined : AT_WORK.has(code)
}

/** It is somebody's, and is left alone. */
class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError'

  constructor() {
    super('it is no SQLite database, and is left as it is')
  }
}

// https://sqlite.org/fileformat2.html#the_database_header
const HEADER = Buffer.from('SQLite format 3\0')

/** Throws `ForeignFileError`. A power failure may have left nothing, the header's beginning, or zeros. */
function checkHeader(descriptor: number): void {
  const found = Buffer.alloc(HEADER.length)
  const length = readSync(descriptor, found, 0, HEADER.length, 0)
  const isOurs = found.subarray(0, length).equals(HEADER.subarray(0, length))
  if (!isOurs && found.some((byte) => byte !== 0)) throw new ForeignFileError()
}

/** Tells files apart, whatever they are called. Undefined when there is none. */
export function identityOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found && `${found.dev} ${found.ino}`
}

function openFile(file: string): DatabaseSync {
  if (file !== MEMORY) {
    makeFolder(dirname(resolve(file)))
    // Made here because SQLite asks nobody about the mode; its companions take the file's.
    const descriptor = openSync(file, 'a+', 0o600)
    try {
      checkHeader(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    database.exec(`
      PRAGMA page_size = 8192;
      PRAGMA auto_vacuum = INCREMENTAL;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 4000;
      PRAGMA cache_size = -64000;
      PRAGMA temp_store = MEMORY;
      PRAGMA journal_size_limit = 67108864;
    `)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

export function openSqlite(file: string): Database {
  const database = openFile(file)
  const identity = file === MEMORY ? undefined : identityOf(file)
  const statements = new Map<string, StatementSync>()
  // One connection: whoever comes while a transaction is open waits for its end.
  let lastTransaction: Promise<unknown> = Promise.resolve()

  function prepared(sql: string): StatementSync {
    const known = statements.get(sql)
    if (known !== undefined) return known
    if (statements.size >= MAX_STATEMENTS) statements.clear()
    const statement = database.prepare(sql)
    statements.set(sql, statement)
    return statement
  }

  const pragma = (name: string) => Number(prepared(`PRAGMA ${name}`).get()?.[name] ?? 0)

  const sql: Sql = {
    async all(text, parameters = []) {
      return rows(prepared(text).all(...parameters))
    },
    async run(text, parameters = []) {
      return Number(prepared(text).run(...parameters).changes)
    },
    async insert(insert, values) {
      const statement = prepared(insertText(insert, 1))
      if (insert.returning !== undefined) return values.flatMap((row) => rows(statement.all(...row)))
      for (const row of values) statement.run(...row)
      return []
    },
  }

  async function inTransaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    database.exec('BEGIN IMMEDIATE')
    try {
      const result = await work(sql)
      database.exec('COMMIT')
      return result
    } catch (error) {
      // A full disk has rolled back already.
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  return {
    ...sql,
    kind: 'sqlite',
    dialect: { text: 'TEXT', clustered: ' WITHOUT ROWID' },
    transaction(work) {
      const result = lastTransaction.then(() => inTransaction(work))
      lastTransaction = result.catch(() => undefined)
      return result
    },
    async bytes() {
      const page = pragma('page_size')
      return { total: pragma('page_count') * page, free: pragma('freelist_count') * page }
    },
    async bytesOf(tables) {
      const trees = await sql.all(
        `SELECT name FROM sqlite_schema WHERE rootpage > 0 AND tbl_name IN (${placeholders(tables)})`,
        tables,
      )
      let bytes = 0
      for (const { name } of trees) {
        const [row] = await sql.all('SELECT pgsize FROM dbstat WHERE aggregate = TRUE AND name = ?', [
          name ?? null,
        ])
        bytes += numberOf(row, 'pgsize')
      }
      return bytes
    },
    now: () => Promise.resolve(Date.now()),
    isInPlace: () => identity === undefined || identityOf(file) === identity,
    async shrink() {
      // Only reading its rows makes this statement do its work.
      prepared(`PRAGMA incremental_vacuum(${PAGES_AT_A_TIME})`).all()
    },
    async close() {
      await lastTransaction
      statements.clear()
      database.close()
    },
  }
}

/** No column of ours is a BLOB, and no number beyond what a double holds. */
const rows = (found: readonly Record<string, unknown>[]) =>
  found as readonly Record<string, SqlValue>[] as readonly Row[]
