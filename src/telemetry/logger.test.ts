import { describe, expect, test } from 'vitest'
import { redact } from '../core/redact.ts'
import { createLogger, parseLevels } from './logger.ts'
import { bareOrQuoted, type LogFormat, timestamp } from './logger-text.ts'

const AT = Date.UTC(2026, 10, 23, 9, 5, 7, 42)

function logger(options: { levels?: string; format?: LogFormat } = {}) {
  const lines: string[] = []
  const log = createLogger({
    levels: parseLevels(options.levels ?? 'info'),
    format: options.format ?? 'text',
    write: (line) => lines.push(line),
    now: () => AT,
  })
  return { log, lines }
}

describe('a logger', () => {
  test('writes text', () => {
    const { log, lines } = logger()
    log.warn('config', 'cannot read the file', {
      file: '/etc/a b',
      line: 3,
      fatal: false,
      missing: undefined,
    })
    expect(lines).toEqual([
      '2026-11-23T09:05:07.042000Z\twarn\tconfig\tcannot read the file file="/etc/a b" line=3 fatal=false\n',
    ])
  })

  test('writes JSON, in which a field cannot replace ours', () => {
    const { log, lines } = logger({ format: 'json' })
    log.error('listen', 'said "no"\n', { level: 'fake', port: 3000, ratio: Number.NaN })
    expect(lines[0]?.endsWith('}\n')).toBe(true)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'error',
      time: '2026-11-23T09:05:07.042000Z',
      scope: 'listen',
      message: 'said "no"\n',
      port: 3000,
      ratio: 'NaN',
    })
  })

  test.each(['text', 'json'] as const)('keeps one line per message in %s', (format) => {
    const { log, lines } = logger({ format })
    log.info('a\nb', 'x\ny\u2028\u0085z\u001b[31m', { 'k\n': 'v\r\n', quoted: '"' })
    const text = lines[0]?.slice(0, -1) ?? ''
    for (const character of '\n\r\u2028\u0085\u001b') expect(text).not.toContain(character)
    expect(lines[0]?.endsWith('\n')).toBe(true)
  })

  test('writes an error with its causes, on one line', () => {
    const { log, lines } = logger()
    const error = new Error('outer', { cause: new TypeError('inner') })
    error.cause = Object.assign(error.cause as Error, { cause: error })
    log.error('gateway', 'failed', { error })
    expect(lines[0]).toContain('Error: outer\\n')
    expect(lines[0]).toContain('caused by TypeError: inner')
    expect(lines[0]?.split('\n').length).toBe(2)
  })

  test('removes secrets from messages, fields and errors', () => {
    const { log, lines } = logger()
    const key = 'sk-proj-abcdefghijklmnop1234'
    log.info('x', `key ${key}`, { note: `Bearer ${key}`, apiKey: 'hunter2', error: new Error(`bad ${key}`) })
    expect(lines[0]).not.toContain('abcdefgh')
    expect(lines[0]).not.toContain('hunter2')
  })
})

describe('levels', () => {
  test.each([
    { levels: 'info', scope: 'request', debug: false, info: true, error: true },
    { levels: 'debug', scope: 'request', debug: true, info: true, error: true },
    { levels: 'off', scope: 'request', debug: false, info: false, error: false },
    { levels: 'info,request=off', scope: 'request', debug: false, info: false, error: false },
    { levels: 'info,request=off', scope: 'config', debug: false, info: true, error: true },
    { levels: ' request = debug , warn ', scope: 'request', debug: true, info: true, error: true },
    { levels: ' request = debug , warn ', scope: 'config', debug: false, info: false, error: true },
    { levels: 'upstream=debug', scope: 'upstream.pool', debug: true, info: true, error: true },
    { levels: 'upstream=debug', scope: 'upstream::pool', debug: true, info: true, error: true },
    {
      levels: 'upstream=debug,upstream.pool=error',
      scope: 'upstream.pool',
      debug: false,
      info: false,
      error: true,
    },
    { levels: 'upstream=debug', scope: 'upstreams', debug: false, info: true, error: true },
    { levels: 'ERROR', scope: 'x', debug: false, info: false, error: true },
    { levels: '', scope: 'x', debug: false, info: true, error: true },
  ])('$levels holds for $scope', ({ levels, scope, debug, info, error }) => {
    const { log } = logger({ levels })
    expect([
      log.isEnabled(scope, 'debug'),
      log.isEnabled(scope, 'info'),
      log.isEnabled(scope, 'error'),
    ]).toEqual([debug, info, error])
  })

  test('may be a list', () => {
    expect(parseLevels(['warn', 'request=off'])).toEqual(parseLevels('warn,request=off'))
  })

  test('change while running, and back', () => {
    const { log, lines } = logger()
    log.setLevels('debug')
    log.debug('a', '1')
    log.setLevels(undefined)
    log.debug('a', '2')
    expect(lines.length).toBe(1)
  })

  test.each(['loud', 'request=loud', 'request='])('refuse %j with its place', (levels) => {
    expect(() => parseLevels(levels)).toThrow(
      expect.objectContaining({ name: 'ConfigProblem', path: ['config', 'logging', 'level'] }),
    )
  })
})

test.each([
  { ms: AT, text: '2026-11-23T09:05:07.042000Z' },
  { ms: AT + 0.123, text: '2026-11-23T09:05:07.042123Z' },
  { ms: AT - 42, text: '2026-11-23T09:05:07.000000Z' },
  { ms: AT - 42 + 999.9995, text: '2026-11-23T09:05:07.999999Z' },
  { ms: AT + 958, text: '2026-11-23T09:05:08.000000Z' },
  { ms: 0, text: '1970-01-01T00:00:00.000000Z' },
])('timestamp writes $text', ({ ms, text }) => {
  // A binary fraction may fall a microsecond short.
  expect([text, text.replace('123Z', '122Z')]).toContain(timestamp(ms))
})

test.each([
  { text: 'plain', written: 'plain' },
  { text: '/v1/chat/completions', written: '/v1/chat/completions' },
  { text: '', written: '""' },
  { text: 'a b', written: '"a b"' },
  { text: 'a=b', written: '"a=b"' },
  { text: 'a"b', written: '"a\\"b"' },
  { text: 'a\\b', written: '"a\\\\b"' },
  { text: 'a\nb', written: '"a\\nb"' },
  { text: '\u001b[2J', written: '"\\u001b[2J"' },
  { text: '\u009b2J', written: '"\\u009b2J"' },
  { text: '\u202eevil', written: '"\\u202eevil"' },
  { text: 'größe', written: '"größe"' },
  { text: '\ud800', written: '"\\ud800"' },
])('bareOrQuoted writes $written', ({ text, written }) => {
  expect(bareOrQuoted(text)).toBe(written)
  if (written.startsWith('"')) expect(JSON.parse(written)).toBe(text)
})

test('bareOrQuoted cuts what is too long', () => {
  expect(bareOrQuoted('a'.repeat(1_000_000)).length).toBeLessThan(5000)
})

describe('redact', () => {
  test.each([
    'Incorrect API key provided: sk-abcdefgh1234',
    'Incorrect API key provided: sk-proj-********************wxyz.',
    'x-api-key: sk-ant-api03-AbCd_12',
    'Authorization: Bearer abcdef123456',
    'authorization: bearer abcdefghijklmnopqrstuvwxyz',
    'Basic dXNlcjpwYXNzd29yZA==',
    'GET /v1/models?key=AIzaSyA-1234567890abcdefghijklmnopqrstuv failed',
    '{"api_key":"abcd1234"}',
    'connect to postgres://user:hunter22@db/log',
    'token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123',
    'ghp_0123456789abcdefghij',
    'AKIAIOSFODNN7EXAMPLE',
    'the key 0123456789abcdefghijABCDEFGHIJ0123456789xyz was refused',
  ])('hides the secret in %j', (text) => {
    const result = redact(text)
    expect(result).toContain('[redacted]')
    expect(result).not.toMatch(/abcdef|1234|wxyz|AbCd|dXNl|hunter|eyJzdWI|ghp_0|EXAMPLE|ABCDEFGHIJ/)
  })

  test.each([
    'connect ECONNREFUSED 127.0.0.1:4317',
    'trace 0af7651916cd43dd8448eb211c80319c was not found',
    'request 123e4567-e89b-12d3-a456-426614174000 failed',
    'the model claude-3-5-sonnet-20241022 does not exist',
    'token limit exceeded: max_tokens=4096',
    'Bearer authentication is required',
    'basic settings',
    'cannot open /usr/share/agentgateway/observability/agentgateway-config.yaml',
    'risk-assessment of a task-runner',
    'https://docs.example.com/a:b/c@d',
  ])('leaves %j alone', (text) => {
    expect(redact(text)).toBe(text)
  })

  test.each(['a-', 'eyJ-', 'sk-', '//:', 'bearer ', 'key=', '?key=', '"', ' '])(
    'is fast on a long run of %j',
    { retry: 3 },
    (piece) => {
      const text = piece.repeat(4096)
      const startedAt = performance.now()
      redact(text)
      expect(performance.now() - startedAt).toBeLessThan(50)
    },
  )
})
