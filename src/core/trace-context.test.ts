import { describe, expect, test } from 'vitest'
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent } from './trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

describe('parseTraceparent', () => {
  test.each([
    { name: 'a sampled parent', header: `00-${TRACE}-${SPAN}-01`, sampled: true },
    { name: 'a parent that is not sampled', header: `00-${TRACE}-${SPAN}-00`, sampled: false },
    { name: 'flags that are not known', header: `00-${TRACE}-${SPAN}-ff`, sampled: true },
    { name: 'other flags only', header: `00-${TRACE}-${SPAN}-02`, sampled: false },
    { name: 'a later version', header: `01-${TRACE}-${SPAN}-01`, sampled: true },
    { name: 'a later version that says more', header: `cc-${TRACE}-${SPAN}-01-what-else`, sampled: true },
  ])('it reads $name', ({ header, sampled }) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, sampled })
  })

  test.each([
    undefined,
    '',
    'garbage',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01-`,
    `01-${TRACE}-${SPAN}-01.more`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
  ])('it takes %j for absent', (header) => {
    expect(parseTraceparent(header)).toBeUndefined()
  })
})

test.each([true, false])('formatTraceparent writes what parseTraceparent reads: sampled %s', (sampled) => {
  const parent = { traceId: newTraceId(), spanId: newSpanId(), sampled }
  expect(parseTraceparent(formatTraceparent(parent.traceId, parent.spanId, sampled))).toEqual(parent)
})

test('ids are valid and never the same', () => {
  const ids = Array.from({ length: 3000 }, () => [newTraceId(), newSpanId()] as const)
  for (const [traceId, spanId] of ids) {
    expect(traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/)
    expect(spanId).toMatch(/^(?!0+$)[0-9a-f]{16}$/)
  }
  expect(new Set(ids.flat()).size).toBe(6000)
})
