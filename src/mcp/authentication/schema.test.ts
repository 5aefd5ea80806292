import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { mcpAuthenticationSchema } from './schema.ts'

const REQUIRED = { issuer: 'https://idp.example', audiences: ['a'] }

test('it has defaults for everything but issuer and audiences', () => {
  expect(mcpAuthenticationSchema.parse(REQUIRED)).toEqual({
    ...REQUIRED,
    resourceMetadata: {},
    mode: 'strict',
    jwtValidationOptions: { requiredClaims: ['exp'] },
    authorizationLocation: { header: { name: 'authorization', prefix: 'Bearer ' } },
  })
})

test.each<{ provider: unknown; parsed: string }>([
  { provider: 'auth0', parsed: 'auth0' },
  { provider: { keycloak: {} }, parsed: 'keycloak' },
  { provider: { okta: null }, parsed: 'okta' },
])('it takes the provider $provider', ({ provider, parsed }) => {
  expect(mcpAuthenticationSchema.parse({ ...REQUIRED, provider }).provider).toBe(parsed)
})

test('it can be written as a JSON schema', () => {
  expect(z.toJSONSchema(mcpAuthenticationSchema, { io: 'input' })).toMatchObject({ type: 'object' })
})

describe('what is wrong', () => {
  test.each<{ name: string; change: object; path: string }>([
    { name: 'no issuer', change: { issuer: undefined }, path: 'issuer' },
    { name: 'an issuer that is no URL', change: { issuer: 'idp' }, path: 'issuer' },
    { name: 'an issuer of another scheme', change: { issuer: 'file:///etc' }, path: 'issuer' },
    { name: 'an issuer with a query', change: { issuer: 'https://a.b/?c' }, path: 'issuer' },
    { name: 'an issuer with a space', change: { issuer: 'https://a.b/c d' }, path: 'issuer' },
    { name: 'no audiences', change: { audiences: undefined }, path: 'audiences' },
    { name: 'an empty list of audiences', change: { audiences: [] }, path: 'audiences' },
    { name: 'an unknown provider', change: { provider: 'acme' }, path: 'provider' },
    { name: 'two providers', change: { provider: { okta: {}, auth0: {} } }, path: 'provider' },
    { name: 'no provider', change: { provider: {} }, path: 'provider' },
    { name: 'Entra without a tenant', change: { provider: 'entra' }, path: 'issuer' },
    { name: 'keys that are no JSON', change: { jwks: 'https://idp.example/keys' }, path: 'jwks' },
    { name: 'keys that are no key set', change: { jwks: { inline: '{"keys":1}' } }, path: 'jwks' },
    { name: 'two kinds of keys', change: { jwks: { url: 'https://a.b', file: 'c' } }, path: 'jwks' },
    { name: 'an unknown mode', change: { mode: 'lax' }, path: 'mode' },
    {
      name: 'a resource that is no URL',
      change: { resourceMetadata: { resource: 'x' } },
      path: 'resourceMetadata',
    },
    {
      name: 'a header that cannot be',
      change: { authorizationLocation: { header: { name: 'a b' } } },
      path: 'authorizationLocation',
    },
    { name: 'a secret without a client', change: { clientSecret: 's' }, path: 'clientSecret' },
    { name: 'an unknown key', change: { audience: 'a' }, path: '' },
  ])('it is $name', ({ change, path }) => {
    const result = mcpAuthenticationSchema.safeParse({ ...REQUIRED, ...change })
    expect(result.success).toBe(false)
    expect(String(result.error?.issues[0]?.path[0] ?? '')).toBe(path)
  })
})
