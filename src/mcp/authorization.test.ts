import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  type McpAuthorizationConfig,
  type McpCaller,
  type McpSubject,
  mcpAuthorization,
  mcpAuthorizationSchema,
} from './authorization.ts'

type Rules = McpAuthorizationConfig['rules']

const TOOL: McpSubject = { kind: 'tool', name: 'get_user', target: 'crm' }
const PROMPT: McpSubject = { ...TOOL, kind: 'prompt' }

const caller = (facts: Partial<McpCaller> = {}): McpCaller => ({
  request: { method: 'POST', host: 'gw.example', path: '/mcp', headers: { 'x-team': 'blue' } },
  source: { address: '10.0.0.1', port: 4711 },
  jwt: { sub: 'ada', groups: ['dev'], level: 3 },
  methodName: 'tools/list',
  ...facts,
})

function allows(rules: Rules, subject: McpSubject = TOOL, by: McpCaller = caller()): boolean | undefined {
  return mcpAuthorization([mcpAuthorizationSchema.parse({ rules })])?.allows(subject, by)
}

describe('a set of rules', () => {
  const [yes, no, error] = ['true', 'false', 'jwt.nothing == 1']
  test.each<{ name: string; rules: Rules; allowed: boolean }>([
    { name: 'allows what an allow rule allows', rules: [{ allow: yes }], allowed: true },
    { name: 'takes a bare string for allow', rules: [no, yes], allowed: true },
    { name: 'refuses what no allow rule allows', rules: [no, { allow: no }], allowed: false },
    { name: 'takes an allow that fails for false', rules: [error], allowed: false },
    { name: 'goes on to the next allow when one fails', rules: [error, yes], allowed: true },
    { name: 'allows by default when it has no allow', rules: [{ deny: no }], allowed: true },
    { name: 'allows by default when what is required is there', rules: [{ require: yes }], allowed: true },
    {
      name: 'lets a deny win over an allow, wherever it stands',
      rules: [yes, { deny: yes }],
      allowed: false,
    },
    { name: 'denies nothing by a deny that fails', rules: [{ deny: error }], allowed: true },
    { name: 'denies by one of two', rules: [{ deny: error }, { deny: yes }], allowed: false },
    { name: 'lets require win over allow', rules: [yes, { require: no }], allowed: false },
    { name: 'denies by a require that fails', rules: [yes, { require: error }], allowed: false },
    { name: 'wants every require', rules: [{ require: yes }, { require: no }], allowed: false },
    { name: 'wants an allow besides require', rules: [{ require: yes }, no], allowed: false },
    { name: 'takes only true for true', rules: ['1', '"true"', 'jwt.groups'], allowed: false },
    { name: 'takes only true for a requirement', rules: [{ require: '"true"' }], allowed: false },
    { name: 'takes only true for a denial', rules: [{ deny: '"true"' }], allowed: true },
  ])('it $name', ({ rules, allowed }) => {
    expect(allows(rules)).toBe(allowed)
  })
})

test.each<{ rule: string; facts?: Partial<McpCaller>; subject?: McpSubject; allowed: boolean }>([
  {
    rule: 'request.method == "POST" && request.host == "gw.example" && request.path == "/mcp"',
    allowed: true,
  },
  { rule: 'request.headers["x-team"] in ["red", "blue"]', allowed: true },
  { rule: 'request.headers["x-other"] == "a"', allowed: false },
  { rule: 'source.address == "10.0.0.1" && source.port == 4711', allowed: true },
  { rule: 'has(source.port)', facts: { source: { address: '::1' } }, allowed: false },
  { rule: 'jwt.sub == "ada" && "dev" in jwt.groups && jwt.level > 2', allowed: true },
  { rule: 'jwt.sub == "ada"', facts: { jwt: undefined }, allowed: false },
  { rule: '!has(jwt.blocked)', allowed: true },
  { rule: '!has(jwt.blocked)', facts: { jwt: undefined }, allowed: false },
  { rule: 'jwt.sub != "mallory"', facts: { jwt: undefined }, allowed: false },
  { rule: 'mcp.methodName == "tools/list"', allowed: true },
  { rule: 'mcp.sessionId == "s"', facts: { sessionId: 's' }, allowed: true },
  { rule: 'has(mcp.sessionId)', allowed: false },
  { rule: 'mcp.tool.name == "get_user" && mcp.tool.target == "crm"', allowed: true },
  { rule: 'mcp.tool.name == "get_user"', subject: PROMPT, allowed: false },
  { rule: 'mcp.prompt.name == "get_user"', subject: PROMPT, allowed: true },
  {
    rule: 'mcp.resource.name == "file:///a"',
    subject: { ...TOOL, kind: 'resource', name: 'file:///a' },
    allowed: true,
  },
  { rule: 'mcp.task.target == "crm"', subject: { ...TOOL, kind: 'task' }, allowed: true },
  { rule: 'has(mcp.tool) || has(mcp.prompt)', subject: { ...TOOL, kind: 'task' }, allowed: false },
])('allow: $rule gives $allowed', ({ rule, facts, subject, allowed }) => {
  expect(allows([rule], subject, caller(facts))).toBe(allowed)
})

describe('a rule about tools, when a prompt is judged', () => {
  test.each<{ name: string; rules: Rules; allowed: boolean }>([
    { name: 'a deny does not deny', rules: [{ deny: 'mcp.tool.name == "get_user"' }], allowed: true },
    { name: 'a negated deny does not deny', rules: [{ deny: '!(mcp.tool.name == "x")' }], allowed: true },
    { name: 'a deny by inequality does not deny', rules: [{ deny: 'mcp.tool.name != "x"' }], allowed: true },
    { name: 'a negated allow does not allow', rules: ['!(mcp.tool.name == "x")'], allowed: false },
    { name: 'a require denies', rules: [{ require: 'mcp.tool.name == "get_user"' }], allowed: false },
    {
      name: 'a guarded require lets it pass',
      rules: [{ require: '!has(mcp.tool) || mcp.tool.name == "x"' }],
      allowed: true,
    },
    {
      name: 'the other half of an or decides',
      rules: ['mcp.tool.name == "x" || jwt.sub == "ada"'],
      allowed: true,
    },
  ])('$name', ({ rules, allowed }) => {
    expect(allows(rules, PROMPT)).toBe(allowed)
  })
})

describe('an attacker', () => {
  test.each([
    'x" || true || "',
    "x' || true || '",
    '\\" || true //',
    '__proto__',
    'constructor',
    'get_user\u0000',
    'get_user ',
    'GET_USER',
    'a'.repeat(10_000),
  ])('does not get a tool allowed by calling it %.20j', (name) => {
    expect(allows(['mcp.tool.name == "get_user"'], { ...TOOL, name })).toBe(false)
    expect(allows(['mcp.tool.name.matches("^(get_[a-z]+)+$")'], { ...TOOL, name })).toBe(false)
    expect(allows([{ deny: 'mcp.tool.name != "get_user"' }], { ...TOOL, name })).toBe(false)
  })

  test('does not become an admin by the claim __proto__', () => {
    const jwt = JSON.parse('{"sub": "m", "__proto__": {"admin": true}}')
    expect(allows(['jwt.admin'], TOOL, caller({ jwt }))).toBe(false)
    expect(allows(['has(jwt.admin)'], TOOL, caller({ jwt }))).toBe(false)
  })

  test.each([
    '{"sub": "m", "constructor": "x", "__proto__": null, "toString": 1}',
    `{"sub": "m", "deep": ${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
    `{"sub": "m", "long": [${Array(20_000).fill(1)}]}`,
  ])('does not escape a deny by other claims: %.40s', (claims) => {
    const jwt = JSON.parse(claims)
    expect(allows([{ deny: 'jwt.sub == "m"' }], TOOL, caller({ jwt }))).toBe(false)
    expect(allows([{ deny: 'jwt.sub == "m"' }], TOOL, caller({ jwt: { ...jwt, sub: 'a' } }))).toBe(true)
  })

  test('is judged by the token at hand, not by the one before', () => {
    const judge = mcpAuthorization([{ rules: ['jwt.sub == "ada"'] }])
    expect(judge?.allows(TOOL, caller())).toBe(true)
    expect(judge?.allows(TOOL, caller({ jwt: { sub: 'm' } }))).toBe(false)
    expect(judge?.allows(TOOL, caller({ jwt: undefined }))).toBe(false)
  })
})

test.each<{ name: string; sets: string[][]; allowed: boolean | undefined }>([
  { name: 'no set', sets: [], allowed: undefined },
  { name: 'sets without rules', sets: [[], []], allowed: undefined },
  { name: 'a set without rules beside one that allows', sets: [[], ['true']], allowed: true },
  { name: 'a set without rules beside one that does not', sets: [['false'], []], allowed: false },
  { name: 'two that allow', sets: [['true'], ['true']], allowed: true },
  { name: 'one of two that does not', sets: [['true'], ['false']], allowed: false },
])('several sets all have to pass: $name', ({ sets, allowed }) => {
  expect(mcpAuthorization(sets.map((rules) => ({ rules })))?.allows(TOOL, caller())).toBe(allowed)
})

test('a list of hundreds of tools is filtered within a moment', () => {
  const rules = [
    'mcp.tool.name.startsWith("get_") && jwt.sub == "ada"',
    'mcp.prompt.name == "x"',
    'mcp.tool.name in ["a", "b"]',
  ]
  const judge = mcpAuthorization([{ rules }, { rules: [{ deny: 'mcp.tool.name.matches("^get_9")' }] }])
  const by = caller({ jwt: { sub: 'ada', long: Array(5000).fill('x') } })
  const names = Array.from({ length: 500 }, (_, index) => `${index % 2 ? 'get' : 'set'}_${index}`)
  const began = performance.now()
  const allowed = names.filter((name) => judge?.allows({ ...TOOL, name }, by))
  expect(performance.now() - began).toBeLessThan(1000)
  expect(allowed).toHaveLength(250 - 6)
})

describe('the configuration', () => {
  const problems = (rules: unknown) =>
    mcpAuthorizationSchema.safeParse({ rules }).error?.issues.map(({ path, message }) => [path, message])

  test('it takes every kind of rule as it is written', () => {
    const rules = ['true', { allow: 'true' }, { deny: 'false' }, { require: 'true' }]
    expect(mcpAuthorizationSchema.parse({ rules })).toEqual({ rules })
  })

  test.each([
    {
      rule: 'mcp.tool.name = "a"',
      path: ['rules', 1],
      problem: 'line 1, column 15: not understood from "=" on',
    },
    {
      rule: { deny: 'a b' },
      path: ['rules', 1, 'deny'],
      problem: 'line 1, column 3: not understood from "b" on',
    },
    {
      rule: { require: '' },
      path: ['rules', 1, 'require'],
      problem: 'line 1, column 1: an expression is missing',
    },
    {
      rule: { deny: 'mcp.tool.nme == "x"' },
      path: ['rules', 1, 'deny'],
      problem: 'line 1, column 1: there is no mcp.tool.nme, only name, target',
    },
    {
      rule: { allow: 'apiKey.name == "x"' },
      path: ['rules', 1, 'allow'],
      problem: 'line 1, column 1: there is no apiKey, only request, source, jwt, mcp',
    },
  ])('it says where and why $rule is wrong', ({ rule, path, problem }) => {
    expect(problems(['true', rule])).toEqual([[path, `not a usable CEL expression: ${problem}`]])
  })

  test.each([[{}], [{ allow: 'true', deny: 'false' }], [{ alow: 'true' }], [{ allow: true }], [true]])(
    'it refuses %j',
    (rule) => {
      expect(problems([rule])).toHaveLength(1)
    },
  )

  test('it has a JSON schema', () => {
    expect(() => z.toJSONSchema(mcpAuthorizationSchema)).not.toThrow()
  })
})
