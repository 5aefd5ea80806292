import { expect, test } from 'vitest'
import { loadConfig } from './load.ts'

function problems(text: string): string[] {
  const result = loadConfig({ text, file: 'gateway.yaml', environment: {} })
  if (result.ok) return []
  return result.problems.map(
    ({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
  )
}

const TLS = '{cert: c.pem, key: k.pem}'
const LLM = 'models: [{name: a, provider: openAI}]'

test.each([
  {
    text: 'gateways: {edge: {port: 1}}\nroutes: [{name: a}]',
    expected: ['routes[0]: the route would be nowhere: it names no `gateways`, and none is called `default`'],
  },
  {
    text: 'gateways: {edge: {port: 1, listeners: [{name: api}]}}\nroutes: [{gateways: [edge, edge/app]}, {gateways: egde}]',
    expected: [
      'routes[0].gateways[1]: there is no gateway `edge/app` in `gateways` (did you mean `edge/api`?)',
      'routes[1].gateways: there is no gateway `egde` in `gateways` (did you mean `edge`?)',
    ],
  },
  {
    text: `gateways: {a: {port: 4000}, b: {port: 4000}}\nbinds: [{port: 4000, listeners: [{}]}]\nllm: {${LLM}}`,
    expected: [
      'gateways.a.port: duplicate port 4000',
      'gateways.b.port: duplicate port 4000',
      'llm.port: duplicate port 4000',
    ],
  },
  {
    text: `gateways: {a: {port: 1}}\nllm: {port: 4000, gateways: a, ${LLM}}`,
    expected: ['llm.gateways: `port` and `gateways` exclude each other: keep one'],
  },
  {
    text: `gateways: {a: {port: 1, tls: ${TLS}, listeners: [{protocol: HTTP, tls: ${TLS}}, {name: b}, {name: b}]}}`,
    expected: [
      'gateways.a: beside `listeners` only `port` has a place: they have `protocol` and `tls` of their own',
      'gateways.a.listeners[0]: protocol HTTPS and tls go together',
      'gateways.a.listeners[2].name: duplicate listener name `b`',
    ],
  },
  {
    text: 'gateways: {a: {port: 1, protocol: HTTPS}, "a/b": {port: 2}}',
    expected: [
      'gateways.a: protocol HTTPS and tls go together',
      'gateways["a/b"]: `a/b` cannot be a key here: a name is made of letters, digits, `-` and `_`',
    ],
  },
  {
    text: 'gateways: {default: {port: 1}}\nroutes: [{backends: [{host: "h:1"}], policies: {mcpAuthorization: {rules: ["true"]}}}]',
    expected: [
      'routes[0].policies.mcpAuthorization: `mcpAuthorization` guards `mcp` backends, and this route has another: it would be open',
    ],
  },
])('refuses $text', ({ text, expected }) => {
  expect(problems(text).toSorted()).toEqual(expected.toSorted())
})

test('a section with a gateway takes no port, and one with a port no gateway', () => {
  expect(problems(`gateways: {default: {port: 4000}}\nllm: {${LLM}}`)).toEqual([])
  expect(problems(`gateways: {default: {port: 1}}\nllm: {port: 4000, ${LLM}}`)).toEqual([])
  expect(problems(`gateways: {a: {port: 1, listeners: [{}]}}\nllm: {gateways: a/listener0, ${LLM}}`)).toEqual(
    [],
  )
})
