import { expect, test } from 'vitest'
import { compile } from './compile.ts'
import { loadConfig } from './config/load.ts'

test('it tells of routes in words', () => {
  const loaded = loadConfig({
    file: 'x.yaml',
    environment: {},
    text: `
binds:
- port: 1
  listeners:
  - name: main
    routes:
    - name: chat
      hostnames: [a.example]
      matches:
      - {path: {pathPrefix: /v1/}, method: POST}
      - {path: {exact: /x}, headers: [{name: x-team, value: {exact: a}}], query: [{name: q, value: {regex: b+}}]}
      policies: {timeout: {requestTimeout: 1s}}
      backends: [{ai: {name: openai, provider: {openAI: {}}}, policies: {backendAuth: {key: k}}}]
    - matches: [{path: {regex: "/r.*"}}]
      backends: [{host: "127.0.0.1:9"}]
    - backends: [{mcp: {targets: [{name: a, stdio: {cmd: cat}}]}}]
mcp: {port: 2, targets: [{name: b, stdio: {cmd: cat}}]}
`,
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { binds } = compile(loaded.config, () => '')
  expect(binds.flatMap(({ listeners }) => listeners.flatMap(({ outlines }) => outlines))).toEqual([
    {
      route: 'default/chat',
      hostnames: ['a.example'],
      matches: ['POST /v1/*', '/x, header x-team: a, query q: b+'],
      backends: [{ name: 'openai', kind: 'openai' }],
      policies: ['timeout', 'backendAuth'],
      path: '/v1/',
    },
    {
      route: 'default/route1',
      hostnames: [],
      matches: ['/r.*'],
      backends: [{ name: '127.0.0.1:9', kind: 'http' }],
      policies: [],
      path: '/r.*',
    },
    {
      route: 'default/route2',
      hostnames: [],
      matches: ['/*'],
      backends: [{ name: 'mcp', kind: 'mcp' }],
      policies: [],
      path: '/mcp',
    },
    {
      route: 'internal/default',
      hostnames: [],
      matches: ['/*'],
      backends: [{ name: 'mcp-2', kind: 'mcp' }],
      policies: [],
      path: '/mcp',
    },
  ])
})
