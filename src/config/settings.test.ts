import { describe, expect, test } from 'vitest'
import { ConfigProblem } from '../core/config-problem.ts'
import { loadConfig } from './load.ts'
import { environmentFaults, SETTING_VARIABLES, settings } from './settings.ts'

function resolve(text: string, environment: Record<string, string | undefined> = {}) {
  const result = loadConfig({ text, file: 'gateway.yaml', environment })
  return result.ok
    ? settings(result.config, environment)
    : expect.unreachable(JSON.stringify(result.problems))
}

test('has a default for everything', () => {
  expect(resolve('{}')).toEqual({
    adminAddr: { host: 'localhost', port: 15000 },
    statsAddr: { host: undefined, port: 15020 },
    readinessAddr: { host: undefined, port: 15021 },
    workerThreads: 1,
    enableIpv6: true,
    dnsLookupFamily: 'V4Preferred',
    connectionTerminationDeadlineMs: 5000,
    connectionMinTerminationDeadlineMs: 0,
    maxBufferSize: 33_554_432,
    http1IdleTimeoutMs: 600_000,
    logLevel: 'info',
    logFormat: 'text',
    sensitiveHeaders: [],
    upstream: {
      connectTimeoutMs: 10_000,
      poolIdleTimeoutMs: 90_000,
      poolMaxSize: undefined,
      keepalives: { enabled: true, timeMs: 180_000 },
    },
    mcp: { sessionTtlMs: 1_800_000, maxSessions: 10_000 },
    database: {
      url: undefined,
      maxConnections: 5,
      retentionMs: 2_592_000_000,
      retentionBytes: 2_147_483_648,
    },
  })
})

test('takes what the file says', () => {
  const text = `
config:
  adminAddr: off
  statsAddr: 127.0.0.1:1
  readinessAddr: "[::1]:2"
  enableIpv6: false
  dns: {edns0: true}
  connectionTerminationDeadline: 1m30s
  connectionMinTerminationDeadline: 500ms
  logging: {level: [warn, request=off], format: json}
  sensitiveHeaders: [X-Team]
  mcp: {sessionTtl: 1m, maxSessions: 5}
  backend: {connectTimeout: 1s, poolIdleTimeout: 2s, poolMaxSize: 3, keepalives: {enabled: false, time: 4s, interval: 5s, retries: 6}}
  adminToken: sixteen-and-more
  workerThreads: 50%
  database: {url: "sqlite:x.db", maxConnections: 2, retention: {age: 1d12h, size: 500MB}}
frontendPolicies: {http: {maxBufferSize: 100, http1IdleTimeout: 7s}, accessLog: {database: {llm: full}}}
`
  expect(resolve(text)).toEqual({
    adminAddr: 'off',
    statsAddr: { host: '127.0.0.1', port: 1 },
    readinessAddr: { host: '::1', port: 2 },
    workerThreads: '50%',
    enableIpv6: false,
    dnsLookupFamily: 'V4Only',
    connectionTerminationDeadlineMs: 90_000,
    connectionMinTerminationDeadlineMs: 500,
    maxBufferSize: 100,
    http1IdleTimeoutMs: 7000,
    logLevel: 'warn,request=off',
    logFormat: 'json',
    sensitiveHeaders: ['x-team'],
    upstream: {
      connectTimeoutMs: 1000,
      poolIdleTimeoutMs: 2000,
      poolMaxSize: 3,
      keepalives: { enabled: false, timeMs: 4000 },
    },
    mcp: { sessionTtlMs: 60_000, maxSessions: 5 },
    adminToken: 'sixteen-and-more',
    database: {
      url: 'sqlite:x.db',
      maxConnections: 2,
      retentionMs: 129_600_000,
      retentionBytes: 500_000_000,
    },
  })
})

describe('the environment', () => {
  const file = `
config:
  adminAddr: off
  statsAddr: off
  readinessAddr: off
  enableIpv6: true
  dns: {lookupFamily: All, edns0: false}
  connectionTerminationDeadline: 1s
  connectionMinTerminationDeadline: 1s
  logging: {level: warn, format: json}
`
  test.each([
    { variables: { ADMIN_ADDR: ':1' }, expected: { adminAddr: { host: undefined, port: 1 } } },
    { variables: { STATS_ADDR: 'localhost:1' }, expected: { statsAddr: { host: 'localhost', port: 1 } } },
    { variables: { READINESS_ADDR: '0.0.0.0:1' }, expected: { readinessAddr: { host: '0.0.0.0', port: 1 } } },
    { variables: { IPV6_ENABLED: 'false' }, expected: { enableIpv6: false } },
    { variables: { DNS_LOOKUP_FAMILY: 'v6only' }, expected: { dnsLookupFamily: 'V6Only' } },
    { variables: { DNS_LOOKUP_FAMILY: 'Auto', IPV6_ENABLED: '0' }, expected: { dnsLookupFamily: 'V4Only' } },
    {
      variables: { CONNECTION_TERMINATION_DEADLINE: '2m' },
      expected: { connectionTerminationDeadlineMs: 120_000 },
    },
    {
      variables: { CONNECTION_MIN_TERMINATION_DEADLINE: '2s' },
      expected: { connectionMinTerminationDeadlineMs: 2000 },
    },
    {
      variables: { TERMINATION_GRACE_PERIOD_SECONDS: '60' },
      expected: { connectionTerminationDeadlineMs: 1000 },
    },
    { variables: { ADMIN_TOKEN: 'x'.repeat(16) }, expected: { adminToken: 'x'.repeat(16) } },
    { variables: { WORKER_THREADS: ' auto ' }, expected: { workerThreads: 'auto' } },
    { variables: { LOG_FORMAT: 'text' }, expected: { logFormat: 'text' } },
    { variables: { RUST_LOG: 'debug,request=off' }, expected: { logLevel: 'debug,request=off' } },
    { variables: { ADMIN_ADDR: ' ', RUST_LOG: '' }, expected: { adminAddr: 'off', logLevel: 'warn' } },
  ])('$variables overrules the file', ({ variables, expected }) => {
    expect(resolve(file, variables)).toMatchObject(expected)
  })

  test.each([
    { grace: '30', expected: 25_000 },
    { grace: '11', expected: 6000 },
    { grace: '10', expected: 9000 },
    { grace: '0', expected: 0 },
  ])('leaves time at the end of a grace period of $grace s', ({ grace, expected }) => {
    const { connectionTerminationDeadlineMs } = resolve('{}', { TERMINATION_GRACE_PERIOD_SECONDS: grace })
    expect(connectionTerminationDeadlineMs).toBe(expected)
  })

  test('is refused as a whole, by variable', () => {
    const environment = Object.fromEntries(SETTING_VARIABLES.map((name) => [name, 'what?']))
    const result = loadConfig({ text: '{}', file: 'gateway.yaml', environment })
    const problems = result.ok ? [] : result.problems
    expect(problems.map(({ path }) => path).sort()).toEqual([...SETTING_VARIABLES].sort())
    for (const problem of problems)
      expect(problem).toMatchObject({
        file: 'environment',
        line: 0,
        column: 0,
        // A token is not repeated.
        message: expect.stringMatching(
          problem.path === 'ADMIN_TOKEN' ? /^expected [^?]*$/ : /^expected .*, found "what\?"$/,
        ),
      })
    expect(environmentFaults({ IPV6_ENABLED: 'yes' })).toEqual([
      { variable: 'IPV6_ENABLED', message: 'expected `true` or `false`, found "yes"' },
    ])
  })

  test('is refused by settings too, for those who did not load', () => {
    expect(() => settings({}, { ADMIN_ADDR: 'x' })).toThrow(ConfigProblem)
    expect(() => settings({}, { ADMIN_ADDR: 'x' })).toThrow('ADMIN_ADDR: expected ip:port')
  })
})
