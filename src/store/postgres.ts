/**
 * A `Database` that several gateways may share.
 *
 * Nothing connects before it is used, and a connection that is lost is opened again by the next use.
 */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import {
  type Database,
  insertText,
  type Lock,
  numberOf,
  type Row,
  type Sql,
  type SqlValue,
} from './database.ts'

/** The protocol's bound is 65,535. */
const MAX_PARAMETERS = 30_000
const CONNECT_TIMEOUT_MS = 5000
const STATEMENT_TIMEOUT_MS = 30_000
/** Of a gateway that froze or lost the network amid a transaction, so that others need not wait for it. */
const IDLE_IN_TRANSACTION_MS = 10_000
const CLOSE_TIMEOUT_MS = 3000

/** Numbers of our own choice that no other program is likely to lock. */
const LOCKS: Readonly<Record<Lock, number>> = { migration: 7_216_302_401, retention: 7_216_302_402 }

/** Two transactions that waited for each other, or met: the one that was cancelled is tried again. */
const RETRYABLE = new Set(['40001', '40P01'])
const MAX_TRIES = 4

const INT8 = 20
const NUMERIC = 1700

function toNumbers(type: number, format?: 'text' | 'binary') {
  return type === INT8 || type === NUMERIC ? Number : pg.types.getTypeParser(type, format as 'text')
}

function numbered(sql: string): string {
  let last = 0
  return sql.replaceAll('?', () => `$${++last}`)
}

/** Its texts cannot hold the character 0. */
const storable = (value: SqlValue) =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value

type Client = Pick<pg.Pool, 'query'>

function sqlOn(client: Client): Sql {
  const query = (text: string, parameters: readonly SqlValue[] = []) =>
    client.query<Record<string, SqlValue>>(numbered(text), parameters.map(storable))

  return {
    async all(text, parameters) {
      return (await query(text, parameters)).rows
    },
    async run(text, parameters) {
      return (await query(text, parameters)).rowCount ?? 0
    },
    async insert(insert, values) {
      const rowsAtATime = Math.max(1, Math.floor(MAX_PARAMETERS / insert.columns.length))
      const returned: Row[] = []
      for (let at = 0; at < values.length; at += rowsAtATime) {
        const part = values.slice(at, at + rowsAtATime)
        const { rows } = await query(insertText(insert, part.length), part.flat())
        if (insert.returning !== undefined) returned.push(...rows)
      }
      return returned
    },
  }
}

/** Throws when the URL names a certificate that cannot be read. */
export function openPostgres(url: string, maxConnections: number): Database {
  // A pool would meet that only amid its work, where it loses count of its connections.
  new pg.Client({ connectionString: url })
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 5000,
    application_name: 'agentgateway',
    types: { getTypeParser: toNumbers as typeof pg.types.getTypeParser },
  })
  // An idle connection that breaks is replaced; without a listener it would end the thread.
  pool.on('error', () => undefined)

  async function once<T>(work: (sql: Sql) => Promise<T>, lock: Lock | undefined): Promise<T> {
    const client = await pool.connect()
    let broken: Error | undefined
    // The pool listens only while it has the connection; without a listener its loss would end the thread.
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    try {
      await client.query('BEGIN')
      if (lock !== undefined) await client.query('SELECT pg_advisory_xact_lock($1)', [LOCKS[lock]])
      const result = await work(sqlOn(client))
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK').catch((rollback: Error) => {
        broken = rollback
      })
      throw error
    } finally {
      client.release(broken)
      client.off('error', onError)
    }
  }

  const sql = sqlOn(pool)

  return {
    ...sql,
    kind: 'postgres',
    dialect: { text: 'TEXT COLLATE "C"', clustered: '' },
    async transaction(work, lock) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await once(work, lock)
        } catch (error) {
          const code = error instanceof Error && 'code' in error ? String(error.code) : ''
          if (attempt === MAX_TRIES || !RETRYABLE.has(code)) throw error
        }
      }
    },
    async bytes() {
      const [row] = await sql.all('SELECT pg_database_size(current_database()) AS bytes')
      return { total: numberOf(row, 'bytes'), free: 0 }
    },
    bytesOf: () => Promise.resolve(0),
    async now() {
      const [row] = await sql.all('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
      return numberOf(row, 'now')
    },
    isInPlace: () => true,
    shrink: () => Promise.resolve(),
    close: () => Promise.race([pool.end(), setTimeout(CLOSE_TIMEOUT_MS, undefined, { ref: false })]),
  }
}
