/** docs/mcp.md against the code: the error types, and the JSON-RPC codes. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MCP_ERROR_TYPES } from '../core/exchange.ts'
import { RPC_ERRORS } from './json-rpc.ts'

const docs = readFileSync(new URL('../../docs/mcp.md', import.meta.url), 'utf8')
const errors = docs.slice(docs.indexOf('## Errors'), docs.indexOf('## Traces'))

test('docs/mcp.md tells every error type, and no other', () => {
  const table = errors.slice(errors.indexOf('| error_type |'))
  const told = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  expect(told.toSorted()).toEqual([...MCP_ERROR_TYPES].toSorted())
})

test('docs/mcp.md tells every code that the gateway itself answers with', () => {
  const told = new Set([...errors.matchAll(/\| (-3\d{4}) \|/g)].map(([, code]) => Number(code)))
  expect(told).toEqual(new Set(Object.values(RPC_ERRORS)))
})
