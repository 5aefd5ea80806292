import { describe, expect, test } from 'vitest'
import { compile } from './compile.ts'
import { loadConfig } from './config/load.ts'

function compiled(text: string) {
  const loaded = loadConfig({ text, file: 'test.yaml', environment: {} })
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return compile(loaded.config, () => '')
}

/** `port listener hostname: routes` */
const places = (text: string) =>
  compiled(text).binds.flatMap(({ port, listeners }) =>
    listeners.map(({ name, outlines }) => `${port} ${name}: ${outlines.map(({ route }) => route).join(' ')}`),
  )

const LLM = 'llm: {models: [{name: a, provider: openAI}]'
const MCP = 'mcp: {targets: [{name: a, mcp: {host: "http://a.test"}}]'

describe('what is where', () => {
  test.each([
    {
      name: 'all of it at the default gateway',
      text: `gateways: {default: {port: 1}, other: {port: 2}}\nroutes: [{name: r}, {}]\n${LLM}}\n${MCP}}`,
      expected: ['1 listener0: default/r default/route1 internal/default internal/llm', '2 listener0: '],
    },
    {
      name: 'gateways and listeners by name',
      text: `gateways: {a: {port: 1}, b: {port: 2, listeners: [{name: x}, {name: y, hostname: y.test}]}}
routes: [{name: r, gateways: [a, b/y]}, {name: s, gateways: b}]
${LLM}, gateways: [b/x]}\n${MCP}, gateways: a}`,
      expected: [
        '1 listener0: default/r internal/default',
        '2 y: default/r default/s',
        '2 x: default/s internal/llm',
      ],
    },
    {
      name: 'ports of their own, without a default gateway and beside one',
      text: `gateways: {a: {port: 1}}\n${LLM}}\n${MCP}}`,
      expected: ['1 listener0: ', '3000 mcp: internal/default', '4000 llm: internal/llm'],
    },
    {
      name: 'a port that is said',
      text: `gateways: {default: {port: 1}}\nbinds: [{port: 2, listeners: [{routes: [{}]}]}]\n${LLM}, port: 5}`,
      expected: ['2 listener0: default/route0', '1 listener0: ', '5 llm: internal/llm'],
    },
  ])('$name', ({ text, expected }) => {
    expect(places(text)).toEqual(expected)
  })

  test('a route and a section are one, wherever they are', () => {
    const { binds, mcp, targets } = compiled(
      `gateways: {a: {port: 1}, b: {port: 2}}
routes: [{gateways: [a, b], matches: [{path: {exact: /x}}], backends: [{host: "h:1"}]}]
${MCP}, gateways: [a, b]}`,
    )
    expect(mcp).toHaveLength(1)
    expect(targets.map(({ host }) => host)).toEqual(['h', 'a.test'])
    const head = { method: 'GET', hostname: 'a.test', path: '/x', query: '', headers: {} }
    const [one, other] = binds.map(({ listeners }) => listeners[0]?.match(head)?.target)
    expect(one).toBeDefined()
    expect(one).toBe(other)
  })

  test('MCP on a gateway has its own paths, models what is left', () => {
    const { binds } = compiled(
      `gateways: {default: {port: 1}}\nroutes: [{name: r, matches: [{path: {exact: /ping}}]}]\n${LLM}}\n${MCP}}`,
    )
    const route = (path: string) =>
      binds[0]?.listeners[0]?.match({ method: 'GET', hostname: 'a.test', path, query: '', headers: {} })
        ?.target.name
    expect(['/ping', '/mcp', '/mcp/x', '/sse', '/.well-known/oauth', '/v1/models', '/'].map(route)).toEqual([
      'default/r',
      ...Array.from({ length: 4 }, () => 'internal/default'),
      'internal/llm',
      'internal/llm',
    ])
  })
})
