/**
 * A `Database` in a file, or in memory.
 *
 * `node:sqlite` works synchronously: it belongs in a worker thread.
 */
import { closeSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { makeFolder } from '../core/make-folder.ts'
import { type Database, insertText, type Row, type Sql, type SqlValue } from './database.ts'
import { MEMORY } from './location.ts'

/** Searches differ in their text; what is prepared for them is let go now and then. */
const MAX_STATEMENTS = 200

/** Pages that `shrink` frees at a time: 4 MiB. */
const PAGES_AT_A_TIME = 1000

// https://sqlite.org/rescode.html
const SQLITE_BUSY = 5
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
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

function openFile(file: string): DatabaseSync {
  if (file !== MEMORY) {
    makeFolder(dirname(resolve(file)))
    // Made here because SQLite asks nobody about the mode; its companions take the file's.
    closeSync(openSync(file, 'a', 0o600))
  }
  const database = new DatabaseSync(file, { timeout: 5000 })
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
