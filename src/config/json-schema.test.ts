import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { canonicalPath, configJsonSchema, documentedKeys } from './json-schema.ts'
import { loadConfig } from './load.ts'
import { configSchema } from './schema.ts'
import { keyPaths } from './schema-walk.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const documentation = read('docs/configuration.md')

test('schema/config.json is current (else: node scripts/write-schema.ts)', () => {
  expect(JSON.parse(read('schema/config.json'))).toEqual(configJsonSchema(documentedKeys(documentation)))
})

test('docs/configuration.md has every key, and no other', () => {
  const paths = new Set(keyPaths(configSchema).map(canonicalPath))
  expect([...documentedKeys(documentation).keys()].sort()).toEqual([...paths].sort())
})

test('the example of docs/configuration.md loads', () => {
  const [, text = ''] = /```yaml\n([\s\S]*?)```/.exec(documentation) ?? []
  const result = loadConfig({ text, file: 'docs', environment: { OPENAI_API_KEY: 'sk-1' } })
  expect(result).toMatchObject({ ok: true, warnings: [] })
})

test('describes keys, empty objects and references to the environment', () => {
  const schema = JSON.parse(read('schema/config.json'))
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    additionalProperties: false,
    properties: {
      config: { type: ['object', 'null'] },
      binds: {
        items: {
          required: ['port', 'listeners'],
          properties: {
            port: {
              description: expect.stringMatching(/^Port; 0 takes a free one\./),
              anyOf: [
                { type: 'integer', minimum: 0, maximum: 65535 },
                { $ref: '#/$defs/environmentReference' },
              ],
            },
          },
        },
      },
    },
  })
})
