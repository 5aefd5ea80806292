import { expect, test } from 'vitest'
import type { Secret } from '../core/schema.ts'
import { backendAuth, backendAuthSchema } from './backend-auth.ts'

const files: Record<string, string> = { 'key.txt': 'sk-file' }
const read = (secret: Secret) => (typeof secret === 'string' ? secret : (files[secret.file] ?? ''))
const BEARER = { header: 'authorization', value: 'Bearer sk-1', key: 'sk-1', explicit: false }

test.each([
  { name: 'a key', config: { key: 'sk-1' }, presents: BEARER },
  {
    name: 'a key in a file',
    config: { key: { file: 'key.txt' } },
    presents: { ...BEARER, value: 'Bearer sk-file', key: 'sk-file' },
  },
  { name: 'a key as value', config: { key: { value: 'sk-1' } }, presents: BEARER },
  {
    name: 'a header for the key, without prefix',
    config: { key: { value: 'sk-1', location: { header: { name: 'X-Key' } } } },
    presents: { header: 'x-key', value: 'sk-1', key: 'sk-1', explicit: true },
  },
  {
    name: 'a header for the key, with prefix',
    config: { key: { value: 'sk-1', location: { header: { name: 'Authorization', prefix: 'Token ' } } } },
    presents: { header: 'authorization', value: 'Token sk-1', key: 'sk-1', explicit: true },
  },
  {
    name: 'a header for the key in a file',
    config: { key: { value: { file: 'key.txt' }, location: { header: { name: 'x-key' } } } },
    presents: { header: 'x-key', value: 'sk-file', key: 'sk-file', explicit: true },
  },
])('it takes $name', ({ config, presents }) => {
  expect(backendAuth(backendAuthSchema.parse(config), read)).toEqual(presents)
})

test.each([
  {},
  { key: '' },
  { key: { file: '' } },
  { key: { value: 'a', location: { queryParameter: { name: 'key' } } } },
  { key: { value: 'a', location: { header: { name: '' } } } },
  { key: { value: 'a', location: { header: { name: 'x key' } } } },
  { key: 'a', passthrough: {} },
])('it refuses %j', (config) => {
  expect(backendAuthSchema.safeParse(config).success).toBe(false)
})
