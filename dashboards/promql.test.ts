import { describe, expect, test } from 'vitest'
import { comparedOperands, interpolate, parsePromql, queriesOf, rulesOf } from './promql.ts'

describe('parsePromql', () => {
  test('it takes a query apart', () => {
    const { errors, selectors, calls, aggregations } = parsePromql(
      'histogram_quantile(0.99, sum by (le) (rate(a_bucket{status=~"5..", route!="x\\\\d"}[5m] offset 1h)))',
    )
    expect(errors).toEqual([])
    expect(selectors).toEqual([
      {
        metric: 'a_bucket',
        matchers: [
          { label: 'status', op: '=~', value: '5..' },
          { label: 'route', op: '!=', value: 'x\\d' },
        ],
        text: 'a_bucket{status=~"5..", route!="x\\\\d"}',
        range: '5m',
        offset: '1h',
        within: ['rate', 'sum', 'histogram_quantile'],
        isFilter: false,
        keptLabels: ['le'],
      },
    ])
    expect(calls.map(({ function: name, args }) => [name, args.length])).toEqual([
      ['histogram_quantile', 2],
      ['rate', 1],
    ])
    expect(aggregations).toMatchObject([{ operator: 'sum', grouping: 'by', labels: ['le'] }])
  })

  test.each([
    ['{__name__="a"}', { metric: 'a' }],
    ['{__name__=~"a|b", job="c"}', { nameMatcher: 'a|b', matchers: [{ label: 'job', op: '=', value: 'c' }] }],
    ['sum(a) by (x)', { metric: 'a', keptLabels: ['x'] }],
    ['sum without (x) (a)', { metric: 'a', within: ['sum'] }],
    ['(a offset 5m)', { metric: 'a', offset: '5m' }],
    ['(a offset 5m) > 1', { metric: 'a', operator: '>' }],
    ['a unless on (x) sum(b)', { metric: 'a', operator: 'unless', isFilter: false }],
  ])('it reads the selector of %s', (query, selector) => {
    expect(parsePromql(query)).toMatchObject({ errors: [] })
    expect(parsePromql(query).selectors[0]).toMatchObject(selector)
  })

  test.each(['a - b offset 1h', 'a unless b offset 1h', 'a or a - b offset 1h'])(
    'it gives the offset of %s to the last selector',
    (query) => {
      const [first, ...others] = parsePromql(query).selectors
      expect(first?.offset).toBeUndefined()
      expect(others.at(-1)).toMatchObject({ metric: 'b', offset: '1h' })
    },
  )

  test('it tells what only filters', () => {
    const { selectors } = parsePromql('sum((a and on (x) (b or sum(c))) unless d) or e')
    expect(selectors.filter(({ isFilter }) => isFilter).map(({ metric }) => metric)).toEqual(['b', 'c', 'd'])
  })

  test('it tells the labels that operators match by', () => {
    expect(parsePromql('a * on (job, instance) group_left (version) b').matchedLabels).toEqual([
      'job',
      'instance',
      'version',
    ])
  })

  test('it tells the range of a call', () => {
    expect(parsePromql('rate(a[5m])').calls).toMatchObject([{ range: '5m' }])
    expect(parsePromql('rate(a[5m] offset 1h)').calls).toMatchObject([{ range: '5m' }])
    expect(parsePromql('max_over_time(sum(a)[1h:5m])').calls[0]).toMatchObject({ range: '1h' })
  })

  test.each(['sum(', 'rate(a[5m)', 'a{b=c}', 'a[$__rate_interval]', ''])(
    'it finds the error in %j',
    (query) => {
      expect(parsePromql(query).errors).not.toEqual([])
    },
  )
})

test.each([
  ['a > 5', ['a']],
  ['5 < a', ['a']],
  ['2 * 3 < a', ['a']],
  ['sum(rate(a[5m])) / sum(rate(b[5m])) > 0.1', ['sum(rate(a[5m])) / sum(rate(b[5m]))']],
  ['(a > 1 and b >= 2) or c == 0 unless on (x) d != 3', ['a', 'b', 'c', 'd']],
  ['a > 1 and on () b', ['a']],
  ['a > 3 * a offset 1d unless a <= 2 * a offset 7d', ['a', 'a']],
  ['a offset 1h > 2', ['a offset 1h']],
  ['2 < a offset 1h', ['a offset 1h']],
  ['(a > 3 * b offset 1d unless c < 1) > 10', ['a', 'c']],
  ['absent(a)', []],
  ['a + b', []],
])('comparedOperands finds what %s measures', (query, operands) => {
  expect(comparedOperands(query)).toEqual(operands)
})

describe('interpolate', () => {
  const durations = { rateInterval: '1m', interval: '15s', range: '6h' }

  test.each([
    ['rate(a[$__rate_interval])', 'rate(a[1m])'],
    ['a[$__interval] offset $__range', 'a[15s] offset 6h'],
    ['time() - $__range_s', 'time() - 21600'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variables, not ours.
    ['a{b=~"$backend", c=~"${backend:regex}", d=~"${model}"}', 'a{b=~".*", c=~".*", d=~".*"}'],
    ['label_replace(a, "b", "$1", "c", "(.*)")', 'label_replace(a, "b", "$1", "c", "(.*)")'],
  ])('it makes plain PromQL of %s', (query, plain) => {
    expect(interpolate(query, durations)).toBe(plain)
  })

  test('it refuses what is no variable', () => {
    expect(() => interpolate('a{b="$backened"}', durations)).toThrow('$backened is no variable')
  })
})

test('queriesOf lists the queries of a dashboard', () => {
  const panels = [
    { type: 'row', title: 'Row' },
    { type: 'stat', title: 'A', targets: [{ refId: 'A', expr: 'up', instant: true }] },
    { type: 'timeseries', title: 'B', targets: [{ refId: 'A', expr: 'down', range: true }] },
  ]
  expect(queriesOf({ panels })).toEqual([
    { panel: 'A', refId: 'A', expr: 'up', type: 'stat', instant: true },
    { panel: 'B', refId: 'A', expr: 'down', type: 'timeseries', instant: false },
  ])
})

test('rulesOf lists the rules of a file', () => {
  const text = `groups:
  - name: g
    rules:
      - {record: "a:b", expr: 1}
      - {alert: Bad, expr: "a > 1", for: 5m, labels: {severity: page}}
`
  expect(rulesOf(text)).toEqual([
    { kind: 'recording', name: 'a:b', expr: '1', group: 'g', labels: {}, annotations: {} },
    {
      kind: 'alert',
      name: 'Bad',
      expr: 'a > 1',
      group: 'g',
      for: '5m',
      labels: { severity: 'page' },
      annotations: {},
    },
  ])
})
