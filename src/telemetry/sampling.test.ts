import { describe, expect, test } from 'vitest'
import { compileCel } from '../core/cel.ts'
import { parseTraceparent } from '../core/trace-context.ts'
import { createSampler, neverSample, type SamplingRatios, traceContextFor } from './sampling.ts'
import { SAMPLING_NAMES } from './variables.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const SAMPLED = `00-${TRACE}-${SPAN}-01`
const UNSAMPLED = `00-${TRACE}-${SPAN}-00`

const ratios = (random: number, client: number): SamplingRatios => ({ random, client })
const unasked = () => expect.unreachable()

describe('a sampler', () => {
  test.each([
    { name: 'no parent, nothing set', parent: undefined, ratios: ratios(0, 1), dice: 0, sampled: false },
    { name: 'no parent, always', parent: undefined, ratios: ratios(1, 1), dice: 0.999, sampled: true },
    { name: 'no parent, lucky', parent: undefined, ratios: ratios(0.25, 1), dice: 0.24, sampled: true },
    { name: 'no parent, unlucky', parent: undefined, ratios: ratios(0.25, 1), dice: 0.25, sampled: false },
    { name: 'a sampled parent', parent: SAMPLED, ratios: ratios(0, 1), dice: 0, sampled: true },
    { name: 'a sampled parent, none wanted', parent: SAMPLED, ratios: ratios(1, 0), dice: 0, sampled: false },
    { name: 'an unsampled parent', parent: UNSAMPLED, ratios: ratios(1, 1), dice: 0, sampled: false },
    { name: 'a malformed parent', parent: 'nonsense', ratios: ratios(0, 1), dice: 0, sampled: false },
    {
      name: 'a malformed parent, always',
      parent: `${SAMPLED}-x`,
      ratios: ratios(1, 0),
      dice: 0,
      sampled: true,
    },
    {
      name: 'other flags than sampled',
      parent: `00-${TRACE}-${SPAN}-02`,
      ratios: ratios(1, 1),
      dice: 0,
      sampled: false,
    },
    {
      name: 'other flags and sampled',
      parent: `00-${TRACE}-${SPAN}-03`,
      ratios: ratios(0, 1),
      dice: 0,
      sampled: true,
    },
  ])('decides on $name', ({ parent, ratios, dice, sampled }) => {
    expect(createSampler(ratios, () => dice)(parseTraceparent(parent), unasked)).toBe(sampled)
  })

  test('decides on a caller’s trace by its id alone, in the asked-for share', () => {
    const sample = createSampler(ratios(0, 0.25), () => 0)
    const ids = Array.from({ length: 4000 }, (_, index) =>
      // Spread over the range of the last 13 digits.
      Math.floor((index / 4000) * 2 ** 52)
        .toString(16)
        .padStart(32, 'a'),
    )
    const sampled = ids.filter((traceId) => sample({ traceId, spanId: SPAN, sampled: true }, unasked))
    expect(sampled.length).toBe(1000)
    expect(ids.filter((traceId) => sample({ traceId, spanId: SPAN, sampled: true }, unasked))).toEqual(
      sampled,
    )
  })

  test.each([
    { expression: 'true', dice: 0.999, sampled: true },
    { expression: 'false', dice: 0, sampled: false },
    { expression: 'request.path == "/a"', dice: 0.999, sampled: true },
    { expression: 'request.path == "/b"', dice: 0, sampled: false },
    { expression: 'request.path == "/a" ? 0.5 : 0.0', dice: 0.49, sampled: true },
    { expression: 'request.path == "/a" ? 0.5 : 0.0', dice: 0.5, sampled: false },
    { expression: '100', dice: 0.999, sampled: true },
    { expression: '-1', dice: 0, sampled: false },
    { expression: '0.0 / 0.0', dice: 0, sampled: false },
    { expression: '"true"', dice: 0, sampled: false },
    { expression: 'null', dice: 0, sampled: false },
    { expression: 'request.headers["x-absent"] == "1"', dice: 0, sampled: false },
  ])('of $expression takes at $dice: $sampled', ({ expression, dice, sampled }) => {
    const share = compileCel(expression, SAMPLING_NAMES)
    const variables = () => ({ request: { path: '/a', headers: {} } })
    expect(createSampler({ random: share, client: 0 }, () => dice)(undefined, variables)).toBe(sampled)
  })

  test('asks an expression whether to continue a caller’s trace, and never one that is not sampled', () => {
    const sample = createSampler({ random: 1, client: compileCel('request.path == "/a"', SAMPLING_NAMES) })
    const at = (path: string, traceparent: string) =>
      sample(parseTraceparent(traceparent), () => ({ request: { path } }))
    expect([at('/a', SAMPLED), at('/b', SAMPLED), at('/a', UNSAMPLED)]).toEqual([true, false, false])
  })

  test('asks for no random number where none is needed', () => {
    const never = () => expect.unreachable()
    expect(createSampler(ratios(0, 1), never)(undefined, unasked)).toBe(false)
  })
})

describe('traceContextFor', () => {
  test('continues the caller’s trace', () => {
    const context = traceContextFor(SAMPLED, 'vendor=1', createSampler(ratios(0, 1)))
    expect(context).toEqual({
      traceId: TRACE,
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
      parentSpanId: SPAN,
      sampled: true,
      traceState: 'vendor=1',
    })
    expect(context.spanId).not.toBe(SPAN)
  })

  test.each([
    { name: 'tracing is off', traceparent: SAMPLED, sampler: neverSample },
    { name: 'the caller does not sample', traceparent: UNSAMPLED, sampler: createSampler(ratios(1, 1)) },
  ])('keeps the trace id for the log when $name', ({ traceparent, sampler }) => {
    expect(traceContextFor(traceparent, undefined, sampler)).toMatchObject({ traceId: TRACE, sampled: false })
  })

  test.each([undefined, '', 'nonsense', `00-${'0'.repeat(32)}-${SPAN}-01`, `ff-${TRACE}-${SPAN}-01`])(
    'starts a trace of its own for traceparent %j',
    (traceparent) => {
      const context = traceContextFor(traceparent, 'vendor=1', neverSample)
      expect(context).toEqual({
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
        parentSpanId: undefined,
        sampled: false,
        traceState: undefined,
      })
      expect(context.traceId).not.toBe(TRACE)
    },
  )
})
