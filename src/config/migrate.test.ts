// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a reference is written
import { describe, expect, test } from 'vitest'
import { compile } from '../compile.ts'
import { DEFAULT_CONFIG } from './default-config.ts'
import { loadConfig } from './load.ts'
import { migrated } from './migrate.ts'

const environment = { PORT: '3001', KEY: '0123', HOST: 'h' }

function running(text: string) {
  const loaded = loadConfig({ text, file: 'test.yaml', environment })
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  const { binds, targets, mcp } = compile(loaded.config, () => '')
  return {
    binds: binds
      .map(({ name, port, listeners }) => ({
        name,
        port,
        listeners: listeners.map(({ name: own, host, outlines }) => ({ own, rank: host.rank, outlines })),
      }))
      .toSorted((one, other) => one.port - other.port),
    targets: targets.map(({ host, port }) => `${host}:${port}`).toSorted(),
    mcp: mcp.map(({ name, hostnames }) => ({ name, hostnames })),
  }
}

const ROUTE = '{matches: [{path: {pathPrefix: /a}}], backends: [{host: "${HOST}:1"}]}'

describe('what was migrated runs as before:', () => {
  test.each([
    { name: 'the default configuration', text: DEFAULT_CONFIG },
    {
      name: 'several binds, listeners and routes, with references in braces',
      text: `binds:
- port: \${PORT}
  listeners:
  - routes: [${ROUTE}, {name: b}]
- {port: 2, listeners: [{name: x, hostname: "*.x.test", routes: [{}, ${ROUTE}]}, {hostname: y.test, routes: [${ROUTE}]}]}
- port: 3
  listeners: [{}]
`,
    },
    {
      name: 'beside sections without a port',
      text: `mcp: {targets: [{name: a, mcp: {host: "http://a.test"}}]}
llm:
  models: [{name: a, provider: openAI, params: {apiKey: $KEY}}]
binds: [{port: 1, listeners: [{hostname: h.test, routes: [{backends: [{mcp: {targets: [{name: a, mcp: {host: "http://b.test"}}]}}]}]}]}]`,
    },
    {
      name: 'beside gateways',
      text: `gateways: {default: {port: 1}, gateway2: {port: 2}}
routes: [{name: a}, {}]
llm: {models: [{name: a, provider: openAI}]}
binds: [{port: 3, listeners: [{routes: [{name: c}, {}]}]}]`,
    },
    {
      name: 'anchors',
      text: 'binds: [{port: 1, listeners: &l [{routes: [&r {matches: &m [{path: {exact: /a}}]}]}]}, {port: 2, listeners: [{routes: [*r, {name: b, matches: *m}]}]}, {port: 3, listeners: *l}]',
    },
  ])('$name', ({ text }) => {
    const result = migrated(text)
    expect(result).not.toContain('binds:')
    expect(running(result)).toEqual(running(text))
  })
})

test('is as short as it can be', () => {
  const text = `# mine
config: {statsAddr: off}
binds:
  - port: \${PORT:-3000} # the port
    listeners:
      - routes:
          - policies: {directResponse: {status: 200, body: "$KEY"}}
          - name: second
`
  expect(migrated(text)).toBe(`# mine
config: { statsAddr: off }
gateways:
  default:
    port: \${PORT:-3000} # the port
routes:
  - policies: { directResponse: { status: 200, body: "$KEY" } }
  - name: second
`)
})

test('leaves a file without binds alone', () => {
  const text = 'llm:   {models: [{name: a, provider: openAI}]}'
  expect(migrated(text)).toBe(text)
})
