/**
 * The schema, and the way to it from every older one.
 *
 * A step that has been released is never changed: what is wrong with it is put right by the next.
 */
import { type Database, type Dialect, numberOf } from './database.ts'
import { COLUMNS } from './fields.ts'

export type Migration = (dialect: Dialect) => readonly string[]

const groupColumns = ({ text }: Dialect) =>
  Object.values(COLUMNS).map((column) => `${column} ${column === 'http_status' ? 'INTEGER NOT NULL' : text}`)

const first: Migration = (dialect) => [
  // Small rows, read by the ten thousand; an id begins with its time, so that their order is that of completion.
  `CREATE TABLE requests (
    id ${dialect.text} PRIMARY KEY,
    sequence BIGINT NOT NULL,
    completed_at BIGINT NOT NULL,
    trace_id ${dialect.text} NOT NULL,
    failed INTEGER NOT NULL,
    has_payload INTEGER NOT NULL,
    duration_ms DOUBLE PRECISION NOT NULL,
    ${groupColumns(dialect).join(', ')},
    search_text ${dialect.text} NOT NULL
  )${dialect.clustered}`,
  'CREATE INDEX requests_by_sequence ON requests (sequence)',
  'CREATE INDEX requests_by_trace ON requests (trace_id, id)',
  'CREATE INDEX requests_failed ON requests (id) WHERE failed = 1',
  'CREATE INDEX requests_with_payload ON requests (id) WHERE has_payload = 1',
  // One row: the number of the request that was kept last, and how many there are.
  `CREATE TABLE request_state (
    one INTEGER PRIMARY KEY,
    sequence BIGINT NOT NULL,
    requests BIGINT NOT NULL
  )`,
  'INSERT INTO request_state (one, sequence, requests) VALUES (1, 0, 0)',
  // Large rows, read one by one.
  `CREATE TABLE request_facts (
    id ${dialect.text} PRIMARY KEY,
    facts ${dialect.text} NOT NULL,
    request_payload ${dialect.text},
    response_payload ${dialect.text}
  )`,

  // Days count from 1970.
  `CREATE TABLE dimensions (
    id BIGINT PRIMARY KEY,
    first_day INTEGER NOT NULL,
    last_day INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    ${groupColumns(dialect).join(', ')}
  )${dialect.clustered}`,
  'CREATE INDEX dimensions_by_day ON dimensions (last_day)',
  // Each value of each field; fields by their place in `GROUP_FIELDS`.
  `CREATE TABLE field_values (
    id BIGINT PRIMARY KEY,
    field INTEGER NOT NULL,
    value ${dialect.text} NOT NULL,
    first_day INTEGER NOT NULL,
    last_day INTEGER NOT NULL
  )${dialect.clustered}`,
  'CREATE INDEX field_values_by_value ON field_values (field, value)',
  'CREATE INDEX field_values_by_day ON field_values (last_day)',
  // What scopes and members are: see `rollups.ts`. Tokens have no whole number's bound.
  `CREATE TABLE rollups (
    width BIGINT NOT NULL,
    scope INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    member BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    input_tokens DOUBLE PRECISION NOT NULL,
    output_tokens DOUBLE PRECISION NOT NULL,
    cache_read_tokens DOUBLE PRECISION NOT NULL,
    cache_write_tokens DOUBLE PRECISION NOT NULL,
    reasoning_tokens DOUBLE PRECISION NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    duration_sum DOUBLE PRECISION NOT NULL,
    duration_max DOUBLE PRECISION NOT NULL,
    first_token_sum DOUBLE PRECISION NOT NULL,
    first_token_max DOUBLE PRECISION NOT NULL,
    durations ${dialect.text} NOT NULL,
    first_tokens ${dialect.text} NOT NULL,
    PRIMARY KEY (width, scope, bucket, member)
  )${dialect.clustered}`,
  // From when on there are roll-ups of a width, where lack of room has shortened their time.
  'CREATE TABLE rollup_floors (width BIGINT PRIMARY KEY, floor BIGINT NOT NULL)',

  `CREATE TABLE metric_series (
    id BIGINT PRIMARY KEY,
    last_day INTEGER NOT NULL,
    kind ${dialect.text} NOT NULL,
    instance ${dialect.text} NOT NULL,
    name ${dialect.text} NOT NULL,
    labels ${dialect.text} NOT NULL
  )${dialect.clustered}`,
  'CREATE INDEX metric_series_by_name ON metric_series (name)',
  `CREATE TABLE metric_points (
    series BIGINT NOT NULL,
    width BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    total DOUBLE PRECISION NOT NULL,
    samples BIGINT NOT NULL,
    PRIMARY KEY (series, width, bucket)
  )${dialect.clustered}`,
]

const budgets: Migration = ({ text, clustered }) => [
  `CREATE TABLE budget_spending (
    budget ${text} NOT NULL,
    unit ${text} NOT NULL,
    holder ${text} NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    amount DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (budget, unit, holder, window_start)
  )${clustered}`,
  'CREATE INDEX budget_spending_by_end ON budget_spending (window_end)',
  // The last report of each gateway, by which one that comes twice is known.
  `CREATE TABLE budget_writers (
    writer ${text} PRIMARY KEY,
    report BIGINT NOT NULL,
    written_at BIGINT NOT NULL
  )${clustered}`,
]

/**
 * Consecutive requests whose places in the index by trace lie together. Trace ids are random: in an index by them alone each
 * request of a batch has a page to itself, and to write those was most of what the store had to do.
 */
export const RUN = 4096

const traces: Migration = () => [
  'DROP INDEX requests_by_trace',
  `CREATE INDEX requests_by_trace ON requests ((sequence / ${RUN}), trace_id, id)`,
]

export const MIGRATIONS: readonly Migration[] = [first, budgets, traces]

/** A newer gateway has been here. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'

  constructor(place: string, found: number, known: number) {
    super(
      `The request store ${place} has schema version ${found}, and this gateway knows versions up to ${known}: ` +
        'a newer gateway wrote it. Start that version again, or name another store, or move this one away.',
    )
  }
}

/** Brings the database to the newest version, which it returns. `place` is for messages. */
export async function migrate(
  database: Database,
  place: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> {
  const version = await database.transaction(async (sql) => {
    await sql.run('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)')
    return numberOf((await sql.all('SELECT max(version) AS version FROM schema_version'))[0], 'version')
  }, 'migration')
  if (version > migrations.length) throw new NewerSchemaError(place, version, migrations.length)

  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue
    await database.transaction(async (sql) => {
      // Another gateway may have been faster.
      const target = index + 1
      if ((await sql.all('SELECT version FROM schema_version WHERE version = ?', [target])).length > 0) return
      for (const statement of migration(database.dialect)) await sql.run(statement)
      await sql.run('INSERT INTO schema_version (version) VALUES (?)', [target])
    }, 'migration')
  }
  return migrations.length
}
