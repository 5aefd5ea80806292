import { expect, test } from 'vitest'
import { type TraceSpan, treeOf } from './jaeger-trace.ts'

const span = (name: string, parentId: string, start = name): TraceSpan => ({
  id: name,
  parentId,
  name,
  service: 'agentgateway',
  start,
})

test.each([
  { name: 'nothing', spans: [], tree: '' },
  { name: 'a chain', spans: [span('c', 'b'), span('a', 'caller'), span('b', 'a')], tree: 'a → b → c' },
  {
    name: 'siblings in order of time',
    spans: [span('a', ''), span('late', 'a', '2'), span('early', 'a', '1')],
    tree: 'a → (early, late)',
  },
  { name: 'two roots', spans: [span('a', 'x'), span('b', 'y')], tree: '(a, b)' },
  { name: 'a circle as nothing', spans: [span('a', 'b'), span('b', 'a')], tree: '' },
])('it draws $name', ({ spans, tree }) => {
  expect(treeOf(spans)).toBe(tree)
})
