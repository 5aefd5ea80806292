import { expect, test } from 'vitest'
import { loadConfig } from './load.ts'
import { redactConfig } from './redact.ts'

const X = '<redacted>'

test.each([
  { name: 'a key', given: { backendAuth: { key: 'sk-1' } }, expected: { backendAuth: { key: X } } },
  { name: 'a key in a file', given: { key: { file: '/run/key' } }, expected: { key: { file: '/run/key' } } },
  {
    name: 'a key with a location',
    given: { key: { value: 'a', location: { header: { name: 'x-key', prefix: 'Key ' } } } },
    expected: { key: { value: X, location: { header: { name: 'x-key', prefix: 'Key ' } } } },
  },
  {
    name: 'a key file with a location',
    given: { key: { value: { file: '/run/key' } } },
    expected: { key: { value: { file: '/run/key' } } },
  },
  {
    name: 'hashes of passwords',
    given: {
      basicAuth: { htpasswd: 'ann:$apr1$x$y', realm: 'a' },
      other: { htpasswd: { file: '/run/users' } },
    },
    expected: { basicAuth: { htpasswd: X, realm: 'a' }, other: { htpasswd: { file: '/run/users' } } },
  },
  { name: 'keys in a list', given: { keys: ['a', { key: 'b' }] }, expected: { keys: [X, { key: X }] } },
  {
    name: 'keys of a later version',
    given: {
      clientSecret: 'a',
      accessToken: 'b',
      password: 'c',
      apiKey: 'd',
      secretAccessKey: 'e',
      xdsAuthToken: 'f',
    },
    expected: {
      clientSecret: X,
      accessToken: X,
      password: X,
      apiKey: X,
      secretAccessKey: X,
      xdsAuthToken: X,
    },
  },
  {
    name: 'sensitive headers',
    given: { set: { Authorization: 'a', 'x-api-key': 'b', cookie: 'c', 'x-auth-token': 'd', accept: 'e' } },
    expected: { set: { Authorization: X, 'x-api-key': X, cookie: X, 'x-auth-token': X, accept: 'e' } },
  },
  {
    name: 'headers that the user calls sensitive',
    given: { config: { sensitiveHeaders: ['X-Team'] }, add: { 'x-team': 'a', 'x-other': 'b' } },
    expected: { config: { sensitiveHeaders: ['X-Team'] }, add: { 'x-team': X, 'x-other': 'b' } },
  },
  {
    name: 'every header for the collector',
    given: { tracing: { headers: { 'x-team': 'a' } } },
    expected: { tracing: { headers: { 'x-team': X } } },
  },
  {
    name: 'userinfo and secrets in URLs',
    given: { otlpEndpoint: 'https://ann:pw@h:1/p?api_key=a&x=b&token=c#d' },
    expected: { otlpEndpoint: `https://${X}@h:1/p?api_key=${X}&x=b&token=${X}#d` },
  },
  {
    name: 'credentials in other text',
    given: { body: 'use Bearer abc.def or sk-ant-12345678, not both' },
    expected: { body: `use Bearer ${X} or ${X} not both`.replace(`${X} not`, `${X}, not`) },
  },
  {
    name: 'files of certificates',
    given: { tls: { cert: 'c.pem', key: 'k.pem' }, backendTLS: { key: 'k.pem', root: 'r.pem' } },
    expected: { tls: { cert: 'c.pem', key: 'k.pem' }, backendTLS: { key: 'k.pem', root: 'r.pem' } },
  },
  {
    name: 'numbers and names that only look like it',
    given: {
      defaults: { max_tokens: 5 },
      tokenize: true,
      routes: { '/v1/messages/count_tokens': 'anthropicTokenCount' },
      modelAliases: { 'key-model': 'gpt' },
      remove: ['x-api-key'],
    },
    expected: {
      defaults: { max_tokens: 5 },
      tokenize: true,
      routes: { '/v1/messages/count_tokens': 'anthropicTokenCount' },
      modelAliases: { 'key-model': 'gpt' },
      remove: ['x-api-key'],
    },
  },
  { name: 'what is no object', given: [null, undefined, 1, 'a'], expected: [null, undefined, 1, 'a'] },
])('redacts $name', ({ given, expected }) => {
  const before = structuredClone(given)
  expect(redactConfig(given)).toEqual(expected)
  expect(given).toEqual(before)
})

test('leaves no secret of a whole configuration', () => {
  const text = `
config: {tracing: {otlpEndpoint: "http://u:$S@h:1", headers: {a: $S}}}
backends:
- {name: a, host: "h:1", policies: {backendAuth: {key: $S}, requestHeaderModifier: {set: {x-api-key: $S}}}}
- name: b
  ai:
    name: b
    provider: {openAI: {}}
    policies: {backendAuth: {key: {value: $S, location: {header: {name: x-key}}}}}
`
  const result = loadConfig({ text, file: 'gateway.yaml', environment: { S: 'hunter2' } })
  expect(JSON.stringify(result)).toContain('hunter2')
  expect(JSON.stringify(redactConfig(result.ok && result.config))).not.toContain('hunter2')
})
