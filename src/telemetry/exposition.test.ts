import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { CONTENT_TYPES, type Format, formatBound, negotiateFormat, renderMetrics } from './exposition.ts'
import { createMetrics } from './metrics.ts'
import { createRegistry, type Registry } from './registry.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const FORMATS = ['text', 'openmetrics'] as const

const render = (registry: Registry, format: Format) => [...renderMetrics(registry, format)].join('')

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
  readonly exemplar: { readonly traceId: string; readonly value: number; readonly at: number } | undefined
}

interface ParsedFamily {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly unit: string | undefined
  readonly samples: Sample[]
}

const NUMBER = String.raw`NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?`
const LABELS = String.raw`\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?!\})|(?=\})))*)\}`
const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const SAMPLE = new RegExp(`^(${NAME})(?:${LABELS})? (${NUMBER})( # .*)?$`)
const EXEMPLAR = new RegExp(String.raw`^ # \{trace_id="([0-9a-f]{32})"\} (${NUMBER}) (\d+\.\d{3})$`)
const META = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.*)$`)

const unescaped = (value: string) =>
  value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
const toNumber = (value: string) => Number(value.replace('Inf', 'Infinity'))

/** Refuses all that the formats' texts forbid, whether or not some parser would let it pass. */
function parse(text: string, format: Format): Map<string, ParsedFamily> {
  expect(text.endsWith('\n')).toBe(true)
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics') expect(lines.pop()).toBe('# EOF')
  const families = new Map<string, ParsedFamily>()
  let metadata = new Map<string, string>()
  let current: ParsedFamily | undefined
  for (const line of lines) {
    const meta = META.exec(line)
    if (meta !== null) {
      const [, kind = '', name = '', value = ''] = meta
      if (kind === 'HELP') {
        metadata = new Map()
        expect(families.has(name), `${name} once only`).toBe(false)
      }
      expect(metadata.has(kind), line).toBe(false)
      metadata.set(kind, value)
      if (kind === 'HELP') checkHelp(value, format)
      if (kind === 'UNIT') expect(format === 'openmetrics' && name.endsWith(`_${value}`), line).toBe(true)
      current = {
        name,
        help: unescaped(metadata.get('HELP') ?? ''),
        type: metadata.get('TYPE') ?? '',
        unit: metadata.get('UNIT'),
        samples: [],
      }
      families.set(name, current)
      continue
    }
    expect(current, `metadata before ${line}`).toBeDefined()
    current?.samples.push(parseSample(line, format))
  }
  for (const family of families.values()) checkFamily(family, format)
  return families
}

function checkHelp(value: string, format: Format): void {
  const allowed = format === 'openmetrics' ? /^(?:[^"\\]|\\[\\"n])*$/ : /^(?:[^\\]|\\[\\n])*$/
  expect(value).toMatch(allowed)
}

function parseSample(line: string, format: Format): Sample {
  const match = SAMPLE.exec(line)
  expect(match, line).not.toBeNull()
  const [, name = '', labelText = '', value = '', tail] = match ?? []
  const labels = new Map<string, string>()
  for (const [, label = '', content = ''] of labelText.matchAll(/([^=,]+)="((?:[^"\\]|\\.)*)"/g)) {
    expect(labels.has(label), line).toBe(false)
    labels.set(label, unescaped(content))
  }
  if (tail === undefined) return { name, labels, value: toNumber(value), exemplar: undefined }
  expect(format, 'exemplars are OpenMetrics only').toBe('openmetrics')
  const [, traceId = '', exemplarValue = '', at = ''] = EXEMPLAR.exec(tail) ?? expect.fail(line)
  const exemplar = { traceId, value: toNumber(exemplarValue), at: Number(at) }
  return { name, labels, value: toNumber(value), exemplar }
}

const SUFFIXES: Record<string, Record<Format, readonly string[]>> = {
  counter: { text: [''], openmetrics: ['_total'] },
  gauge: { text: [''], openmetrics: [''] },
  info: { text: [], openmetrics: ['_info'] },
  histogram: { text: ['_bucket', '_sum', '_count'], openmetrics: ['_bucket', '_sum', '_count'] },
}

function checkFamily({ name, type, samples }: ParsedFamily, format: Format): void {
  const suffixes = SUFFIXES[type]?.[format] ?? expect.fail(`${name} has type ${type}`)
  if (format === 'text' && type === 'counter') expect(name).toMatch(/_total$/)
  if (format === 'openmetrics') expect(name).not.toMatch(/_(total|info|bucket|count|sum|created)$/)
  const seen = new Set<string>()
  for (const sample of samples) {
    expect(suffixes.map((suffix) => name + suffix)).toContain(sample.name)
    const key = JSON.stringify([sample.name, ...[...sample.labels].toSorted()])
    expect(seen.has(key), `twice: ${key}`).toBe(false)
    seen.add(key)
    if (type === 'counter') expect(sample.value).toBeGreaterThanOrEqual(0)
    if (sample.exemplar !== undefined) expect(sample.name).toBe(`${name}_bucket`)
  }
  if (type === 'histogram') checkHistogram(name, samples)
}

/** Buckets first, ascending and cumulative, `+Inf` the last and equal to the count; no other series between. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  let rest = samples
  while (rest.length > 0) {
    const end = rest.findIndex((sample) => sample.name === `${name}_count`)
    const [buckets, tail] = [rest.slice(0, end - 1), rest.slice(end - 1, end + 1)]
    expect(tail.map((sample) => sample.name)).toEqual([`${name}_sum`, `${name}_count`])
    let below = -Infinity
    let count = 0
    for (const { labels, value, exemplar } of buckets) {
      const le = labels.get('le') ?? ''
      expect(le).toMatch(/[.e]|^\+Inf$/)
      const bound = toNumber(le)
      expect(bound).toBeGreaterThan(below)
      expect(value).toBeGreaterThanOrEqual(count)
      if (exemplar !== undefined) {
        expect(exemplar.value).toBeGreaterThan(below)
        expect(exemplar.value).toBeLessThanOrEqual(bound)
      }
      below = bound
      count = value
      const others = [...labels].filter(([label]) => label !== 'le')
      expect(others).toEqual([...(tail[0]?.labels ?? [])])
    }
    expect(below).toBe(Infinity)
    expect(tail[1]?.value).toBe(count)
    rest = rest.slice(end + 1)
  }
}

const NASTY = ['pl"ain', 'back\\slash', 'new\nline', 'back\\nslash', 'co,mma="{}', '# EOF', 'é€😀', '', ' ']

test.each([
  { what: 'an unescaped quote', format: 'text', body: 'a{x="""} 1' },
  { what: 'an unescaped newline', format: 'text', body: 'a{x="\n"} 1' },
  { what: 'a bad number', format: 'text', body: 'a Infinity' },
  { what: 'a trailing comma', format: 'text', body: 'a{x="1",} 1' },
  { what: 'a series twice', format: 'text', body: 'a{x="1",y="2"} 1\na{y="2",x="1"} 1' },
  { what: 'an exemplar in 0.0.4', format: 'text', body: `a 1 # {trace_id="${TRACE_ID}"} 1 1.000` },
  { what: 'an exemplar on a gauge', format: 'openmetrics', body: `a 1 # {trace_id="${TRACE_ID}"} 1 1.000` },
  { what: 'the name of another family', format: 'openmetrics', body: 'b 1' },
] as const)("this test's parser refuses $what", ({ format, body }) => {
  const end = format === 'openmetrics' ? '# EOF\n' : ''
  expect(() => parse(`# HELP a A.\n# TYPE a gauge\na 0\n${end}`, format)).not.toThrow()
  expect(() => parse(`# HELP a A.\n# TYPE a gauge\n${body}\n${end}`, format)).toThrow()
})

test.each([
  { what: 'buckets that fall', buckets: ['1.0', 3, '2.0', 2, '+Inf', 3], count: 3 },
  { what: 'bounds that fall', buckets: ['2.0', 1, '1.0', 2, '+Inf', 3], count: 3 },
  { what: 'no +Inf', buckets: ['1.0', 3], count: 3 },
  { what: 'another count', buckets: ['1.0', 3, '+Inf', 4], count: 3 },
  { what: 'integer bounds', buckets: ['1', 3, '+Inf', 3], count: 3 },
])("this test's parser refuses $what", ({ buckets, count }) => {
  const text = (pairs: readonly (string | number)[]) => {
    const lines = pairs.flatMap((le, index) =>
      index % 2 === 0 ? [`a_bucket{le="${le}"} ${pairs[index + 1]}`] : [],
    )
    return `# HELP a A.\n# TYPE a histogram\n${lines.join('\n')}\na_sum 1\na_count ${count}\n`
  }
  expect(() => parse(text(['1.0', 1, '+Inf', count]), 'text')).not.toThrow()
  expect(() => parse(text(buckets), 'text')).toThrow()
})

/** Every type, every odd value. */
function oddRegistry(): Registry {
  const registry = createRegistry()
  const counter = registry.counter({
    name: 'odd_total',
    help: 'A "quoted" \\ help\nin two lines.',
    labels: ['v'],
  })
  for (const value of NASTY) counter.child(value).inc(1e21)
  const gauge = registry.gauge({ name: 'odd_gauge_bytes', help: 'G.', unit: 'bytes', labels: ['v'] })
  for (const value of [Number.NaN, Infinity, -Infinity, -1.5e-9, 1e300, -0])
    gauge.child(String(value)).set(value)
  const histogram = registry.histogram({
    name: 'odd_seconds',
    help: 'H.',
    unit: 'seconds',
    labels: ['v'],
    buckets: [0.00001, 0.5, 1, 1_048_576],
  })
  for (const value of NASTY) {
    for (const seconds of [0.000001, 0.7, 5e6])
      histogram.child(value).observe(seconds, TRACE_ID, 1_700_000_000_123)
  }
  registry
    .histogram({ name: 'plain', help: 'P.', unit: 'seconds', buckets: [1] })
    .child()
    .observe(2, TRACE_ID)
  registry.info({ name: 'strange_info', help: 'I.', values: { version: '1"2' } })
  registry.counter({ name: 'empty_total', help: 'E.', labels: ['v'] })
  registry.gauge({ name: 'empty_gauge', help: 'E.', labels: ['v'] })
  registry.histogram({ name: 'empty_seconds', help: 'E.', unit: 'seconds', labels: ['v'], buckets: [1] })
  return registry
}

function allMetrics(): Registry {
  const registry = createRegistry()
  createMetrics({ registry, version: '1.2.3' }).connectionOpened({
    bind: 'bind/3000',
    listener: undefined,
    protocol: 'http',
  })
  return registry
}

describe.each(FORMATS)('%s', (format) => {
  test.each([
    { name: 'odd names and values', registry: oddRegistry() },
    { name: "the gateway's metrics", registry: allMetrics() },
    { name: 'an almost empty registry', registry: createRegistry() },
  ])('is valid for $name', ({ registry }) => {
    parse(render(registry, format), format)
  })

  test('gives label values and help back as they were', () => {
    const families = parse(render(oddRegistry(), format), format)
    const odd = families.get(format === 'text' ? 'odd_total' : 'odd')
    expect(odd?.help).toBe('A "quoted" \\ help\nin two lines.')
    expect(odd?.samples.map(({ labels }) => labels.get('v'))).toEqual(NASTY)
  })

  test('gives values back as they were', () => {
    const gauge = parse(render(oddRegistry(), format), format).get('odd_gauge_bytes')
    expect(gauge?.samples.map(({ value }) => value)).toEqual([
      Number.NaN,
      Infinity,
      -Infinity,
      -1.5e-9,
      1e300,
      0,
    ])
  })

  test('shows help and type of families without samples', () => {
    const families = parse(render(oddRegistry(), format), format)
    const empty = [format === 'text' ? 'empty_total' : 'empty', 'empty_gauge', 'empty_seconds']
    expect(empty.map((name) => families.get(name)?.samples)).toEqual([[], [], []])
  })

  test('comes in pieces that make the same text', () => {
    const registry = createRegistry()
    const family = registry.counter({ name: 'a_total', help: 'A.', labels: ['x'], maxSeries: 50_000 })
    for (let index = 0; index < 20_000; index++) family.child(String(index)).inc()
    const pieces = [...renderMetrics(registry, format)]
    expect(pieces.length).toBeGreaterThan(2)
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(100_000)
    expect([...parse(pieces.join(''), format).values()].at(-1)?.samples).toHaveLength(20_000)
  })
})

test('text 0.0.4 reads', () => {
  const registry = createRegistry()
  registry.counter({ name: 'a_seconds_total', help: 'A.', unit: 'seconds' }).child().inc(1.5)
  registry
    .histogram({ name: 'b', help: 'B.', labels: ['x'], buckets: [1, 2.5] })
    .child('y')
    .observe(2, TRACE_ID)
  registry.info({ name: 'build_info', help: 'C.', values: { version: '1' } })
  expect(render(registry, 'text').split('\n').slice(2)).toEqual([
    '# HELP a_seconds_total A.',
    '# TYPE a_seconds_total counter',
    'a_seconds_total 1.5',
    '# HELP b B.',
    '# TYPE b histogram',
    'b_bucket{x="y",le="1.0"} 0',
    'b_bucket{x="y",le="2.5"} 1',
    'b_bucket{x="y",le="+Inf"} 1',
    'b_sum{x="y"} 2',
    'b_count{x="y"} 1',
    '# HELP build_info C.',
    '# TYPE build_info gauge',
    'build_info{version="1"} 1',
    '',
  ])
})

test('OpenMetrics reads', () => {
  const registry = createRegistry()
  registry.counter({ name: 'a_seconds_total', help: 'A.', unit: 'seconds' }).child().inc(1.5)
  registry
    .histogram({ name: 'b', help: 'B.', unit: 'seconds', buckets: [1, 2.5] })
    .child()
    .observe(2, TRACE_ID, 1_700_000_000_123)
  registry.info({ name: 'build_info', help: 'C.', values: { version: '1' } })
  expect(render(registry, 'openmetrics').split('\n').slice(2)).toEqual([
    '# HELP a_seconds A.',
    '# TYPE a_seconds counter',
    '# UNIT a_seconds seconds',
    'a_seconds_total 1.5',
    '# HELP b B.',
    '# TYPE b histogram',
    'b_bucket{le="1.0"} 0',
    `b_bucket{le="2.5"} 1 # {trace_id="${TRACE_ID}"} 2 1700000000.123`,
    'b_bucket{le="+Inf"} 1',
    'b_sum 2',
    'b_count 1',
    '# HELP build C.',
    '# TYPE build info',
    'build_info{version="1"} 1',
    '# EOF',
    '',
  ])
})

// The first rows are the list of OpenMetrics' section "Canonical numbers".
test.each([
  [1e-10, '1e-10'],
  [1e-9, '1e-09'],
  [0.00001, '1e-05'],
  [0.0001, '0.0001'],
  [0.1, '0.1'],
  [1, '1.0'],
  [100_000, '100000.0'],
  [1e6, '1e+06'],
  [1e10, '1e+10'],
  [0.000025, '2.5e-05'],
  [0.00025, '0.00025'],
  [67_108_864, '6.7108864e+07'],
  [262_144, '262144.0'],
  [81.92, '81.92'],
  [0, '0.0'],
])('writes the bound %d as %s', (bound, text) => {
  expect(formatBound(bound)).toBe(text)
})

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'

test.each<{ accept: string | undefined; format: Format }>([
  { accept: undefined, format: 'text' },
  { accept: '', format: 'text' },
  { accept: '*/*', format: 'text' },
  { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', format: 'text' },
  { accept: 'application/json', format: 'text' },
  { accept: PROMETHEUS_2, format: 'openmetrics' },
  { accept: PROMETHEUS_3, format: 'openmetrics' },
  { accept: 'application/openmetrics-text', format: 'openmetrics' },
  { accept: 'APPLICATION/OpenMetrics-Text; Version="1.0.0"', format: 'openmetrics' },
  { accept: 'application/openmetrics-text;version=0.0.1', format: 'text' },
  { accept: 'application/openmetrics-text;version=2.0.0,*/*;q=0.1', format: 'text' },
  { accept: 'application/openmetrics-text;q=0', format: 'text' },
  { accept: 'application/openmetrics-text;q=0,*/*', format: 'text' },
  { accept: 'application/openmetrics-text;q=nonsense', format: 'text' },
  { accept: 'application/openmetrics-text;q=0.5,text/plain;q=0.4', format: 'openmetrics' },
  { accept: 'application/openmetrics-text;q=0.4,text/plain;q=0.5', format: 'text' },
  { accept: 'text/plain,application/openmetrics-text', format: 'text' },
  { accept: 'application/openmetrics-text,text/plain', format: 'openmetrics' },
  { accept: 'application/openmetrics-text,*/*', format: 'openmetrics' },
  { accept: 'application/*', format: 'openmetrics' },
  { accept: 'text/*;q=0.3,application/*;q=0.2', format: 'text' },
  { accept: 'application/vnd.google.protobuf;q=1,text/plain;q=0.1', format: 'text' },
  { accept: ';;,,/;q=', format: 'text' },
])('answers Accept: $accept with $format', ({ accept, format }) => {
  expect(negotiateFormat(accept)).toBe(format)
})

test('names its content types as the formats do', () => {
  expect(CONTENT_TYPES).toEqual({
    text: 'text/plain; version=0.0.4; charset=utf-8',
    openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  })
})

const hasPromtool = spawnSync('promtool', ['--version']).status === 0

test.for([
  { name: 'odd names and values', registry: oddRegistry() },
  { name: "the gateway's metrics", registry: allMetrics() },
])('promtool reads $name', ({ registry }, { skip }) => {
  skip(!hasPromtool, 'no promtool here: it comes with the Debian package prometheus')
  const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], {
    input: render(registry, 'text'),
    encoding: 'utf8',
  })
  // 3 is its opinion on names (lint); only 1 says that it could not read the text.
  expect({ read: status !== 1, stdout, stderr }).toMatchObject({ read: true })
})
