/** Mistakes in a configuration that would open what looks guarded, or divide what belongs together. */
import { describe, expect, test } from 'vitest'
import { problemsOf } from '../mcp-lifetime/configuration.fixture.ts'

const ONE = '{name: one, mcp: {host: "http://127.0.0.1:9/mcp"}}'
const TWO = '{name: two, mcp: {host: "http://127.0.0.1:9/mcp"}}'
const AUTHENTICATION = 'mcpAuthentication: {issuer: "https://id.example.com", audiences: [a]}'
const AUTHORIZATION = `mcpAuthorization: {rules: ['mcp.tool.name == "x"']}`
const route = (inner: string) => `binds: [{port: 3100, listeners: [{routes: [{${inner}}]}]}]`
const mcp = (...targets: string[]) => `{mcp: {targets: [${targets.join(', ')}]}}`
const HOST = '{host: "127.0.0.1:9"}'
const ROUTE = 'binds[0].listeners[0].routes[0]'

interface Mistake {
  readonly name: string
  readonly yaml: string
  readonly path: string
  readonly message: RegExp
}

const MISTAKES: readonly Mistake[] = [
  {
    name: 'duplicate target names of mcp',
    yaml: `mcp: {targets: [${ONE}, ${TWO}, ${ONE}]}`,
    path: 'mcp.targets[2].name',
    message: /duplicate target name `one`/,
  },
  {
    name: 'duplicate target names on a route',
    yaml: route(`backends: [${mcp(ONE, ONE)}]`),
    path: `${ROUTE}.backends[0].mcp.targets[1].name`,
    message: /duplicate target name `one`/,
  },
  {
    name: 'duplicate target names of a top-level backend',
    yaml: `backends: [{name: tools, mcp: {targets: [${ONE}, ${ONE}]}}]`,
    path: 'backends[0].mcp.targets[1].name',
    message: /duplicate target name `one`/,
  },
  { name: 'no targets of mcp', yaml: 'mcp: {targets: []}', path: 'mcp.targets', message: /./ },
  {
    name: 'no targets on a route',
    yaml: route('backends: [{mcp: {targets: []}}]'),
    path: `${ROUTE}.backends[0].mcp.targets`,
    message: /./,
  },
  {
    name: 'policies of a process',
    yaml: `mcp: {targets: [${ONE}, {name: p, stdio: {cmd: cat}, policies: {backendAuth: {key: k}}}]}`,
    path: 'mcp.targets[1].policies',
    message: /stdio/,
  },
  {
    name: 'policies of a process on a route',
    yaml: route(
      `backends: [${mcp('{name: p, stdio: {cmd: cat}, policies: {requestHeaderModifier: {set: {a: b}}}}')}]`,
    ),
    path: `${ROUTE}.backends[0].mcp.targets[0].policies`,
    message: /stdio/,
  },
  {
    name: 'mcpAuthentication before a host',
    yaml: route(`policies: {${AUTHENTICATION}}, backends: [${HOST}]`),
    path: `${ROUTE}.policies.mcpAuthentication`,
    message: /open/,
  },
  {
    name: 'mcpAuthorization before a host',
    yaml: route(`policies: {${AUTHORIZATION}}, backends: [${HOST}]`),
    path: `${ROUTE}.policies.mcpAuthorization`,
    message: /open/,
  },
  {
    name: 'mcpAuthorization before a named host',
    yaml: `backends: [{name: plain, host: "127.0.0.1:9"}]\n${route(`policies: {${AUTHORIZATION}}, backends: [{backend: plain}]`)}`,
    path: `${ROUTE}.policies.mcpAuthorization`,
    message: /open/,
  },
  {
    name: 'mcpAuthorization before a model',
    yaml: route(`policies: {${AUTHORIZATION}}, backends: [{ai: {name: m, provider: {openAI: {}}}}]`),
    path: `${ROUTE}.policies.mcpAuthorization`,
    message: /open/,
  },
  {
    name: 'mcpAuthentication before a fixed answer',
    yaml: route(`policies: {${AUTHENTICATION}, directResponse: {status: 200}}`),
    path: `${ROUTE}.policies.mcpAuthentication`,
    message: /open/,
  },
  {
    name: 'mcpAuthorization of a host',
    yaml: route(`backends: [{host: "127.0.0.1:9", policies: {${AUTHORIZATION}}}]`),
    path: `${ROUTE}.backends[0].policies.mcpAuthorization`,
    message: /open/,
  },
  {
    name: 'mcpAuthorization of a top-level host',
    yaml: `backends: [{name: plain, host: "127.0.0.1:9", policies: {${AUTHORIZATION}}}]\n${route('backends: [{backend: plain}]')}`,
    path: 'backends[0].policies.mcpAuthorization',
    message: /open/,
  },
  {
    name: 'a host beside an mcp backend',
    yaml: route(`backends: [${mcp(ONE)}, ${HOST}]`),
    path: `${ROUTE}.backends`,
    message: /stands alone/,
  },
  {
    name: 'two mcp backends on a route',
    yaml: route(`backends: [${mcp(ONE)}, ${mcp(TWO)}]`),
    path: `${ROUTE}.backends`,
    message: /stands alone/,
  },
  {
    name: 'two backends beside a named mcp one',
    yaml: `backends: [{name: tools, mcp: {targets: [${ONE}]}}]\n${route(`backends: [{backend: /tools}, ${HOST}, ${HOST}]`)}`,
    path: `${ROUTE}.backends`,
    message: /stands alone/,
  },
]

describe('a mistake', () => {
  test.each(MISTAKES)('it is refused with its place: $name', ({ yaml, path, message }) => {
    expect(problemsOf(yaml)).toContainEqual({
      path,
      line: expect.any(Number),
      message: expect.stringMatching(message),
    })
  })

  test('it is refused once for each that is wrong', () => {
    const yaml = `mcp:
  targets:
  - ${ONE}
  - ${ONE}
  - name: p
    stdio: {cmd: cat}
    policies: {backendAuth: {key: k}}
`
    expect(problemsOf(yaml).map(({ path, line }) => ({ path, line }))).toEqual([
      { path: 'mcp.targets[1].name', line: 4 },
      { path: 'mcp.targets[2].policies', line: 7 },
    ])
  })
})

describe('no mistake', () => {
  test.each([
    {
      name: 'policies of a target over HTTP',
      yaml: `mcp: {targets: [{name: a, mcp: {host: "http://127.0.0.1:9/mcp"}, policies: {backendAuth: {key: k}}}]}`,
    },
    {
      name: 'rules before an mcp backend',
      yaml: route(`policies: {${AUTHENTICATION}, ${AUTHORIZATION}}, backends: [${mcp(ONE)}]`),
    },
    {
      name: 'rules before a named mcp backend',
      yaml: `backends: [{name: tools, mcp: {targets: [${ONE}]}}]\n${route(`policies: {${AUTHORIZATION}}, backends: [{backend: /tools}]`)}`,
    },
    { name: 'two hosts on a route', yaml: route(`backends: [${HOST}, ${HOST}]`) },
    {
      name: 'the same name in two backends',
      yaml: `mcp: {targets: [${ONE}]}\n${route(`backends: [${mcp(ONE)}]`)}`,
    },
  ])('it is taken: $name', ({ yaml }) => {
    expect(problemsOf(yaml)).toEqual([])
  })
})
