import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MIGRATIONS, type Migration, migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { openStore } from './stores.fixture.ts'

describe('the schema', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'store-'))
    file = join(folder, 'store.db')
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('is refused when it is newer, and the way out is named', async () => {
    const { store } = await openStore(file)
    await store.close(10_000)
    const database = new DatabaseSync(file)
    database.exec('INSERT INTO schema_version (version) VALUES (99)')
    database.close()
    await expect(openStore(file)).rejects.toThrow(
      new RegExp(
        `${file} has schema version 99, .* up to ${MIGRATIONS.length}: .*newer gateway.* move this one away`,
      ),
    )
  })

  test('is brought from an older version by every step', async () => {
    const steps: Migration[] = [() => ['CREATE TABLE one (a INTEGER)', 'INSERT INTO one VALUES (1)']]
    const database = openSqlite(file)
    expect(await migrate(database, file, steps)).toBe(1)
    steps.push(() => ['ALTER TABLE one ADD COLUMN b INTEGER', 'UPDATE one SET b = a + 1'])
    steps.push(() => ['ALTER TABLE one ADD COLUMN c INTEGER', 'UPDATE one SET c = b + 1'])
    expect(await migrate(database, file, steps)).toBe(3)
    expect(await migrate(database, file, steps)).toBe(3)
    expect(await database.all('SELECT a, b, c FROM one')).toEqual([{ a: 1, b: 2, c: 3 }])
    await database.close()
  })

  test('is left as it was by a step that fails', async () => {
    const database = openSqlite(file)
    const steps: Migration[] = [
      () => ['CREATE TABLE one (a INTEGER)'],
      () => ['CREATE TABLE two (a INTEGER)', 'nonsense'],
    ]
    await expect(migrate(database, file, steps)).rejects.toThrow('nonsense')
    expect(await database.all('SELECT version FROM schema_version')).toEqual([{ version: 1 }])
    await expect(database.all('SELECT * FROM two')).rejects.toThrow('no such table')
    await database.close()
  })
})
