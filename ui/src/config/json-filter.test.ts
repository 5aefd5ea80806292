import { expect, test } from 'vitest'
import { filterJson } from './json-filter.ts'

const config = {
  binds: [{ port: 3000, listeners: [{ name: 'a' }] }, { port: 3001 }],
  config: { tracing: { endpoint: 'http://otel:4317' }, on: true, none: null },
}

test.each([
  ['a value', '3001', { binds: [{ port: 3001 }] }],
  ['a name, with all below it', 'tracing', { config: { tracing: { endpoint: 'http://otel:4317' } } }],
  ['a part of a text, whatever its case', 'OTEL', { config: { tracing: { endpoint: 'http://otel:4317' } } }],
  ['a boolean', 'true', { config: { on: true } }],
  ['null', 'null', { config: { none: null } }],
  ['everything for no text', '', config],
  ['nothing', 'zebra', undefined],
])('finds %s', (_, text, found) => {
  expect(filterJson(config, text)).toEqual(found)
})
