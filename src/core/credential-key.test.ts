import { expect, test } from 'vitest'
import { credentialKey } from './credential-key.ts'

test('it is the same for the same key, however that is sent, and another for another', () => {
  const key = credentialKey({ authorization: 'Bearer sk-one' })
  expect(key).toMatch(/^[0-9a-f]{8}$/)
  expect(credentialKey({ 'x-api-key': 'sk-one' })).toBe(key)
  expect(credentialKey({ authorization: 'bearer  sk-one ' })).toBe(key)
  expect(credentialKey({ authorization: 'Bearer sk-two' })).not.toBe(key)
  expect(credentialKey({})).toBeUndefined()
})
