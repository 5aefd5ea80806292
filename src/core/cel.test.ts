import { describe, expect, test } from 'vitest'
import { celValue, compileCel } from './cel.ts'

const VARIABLES = {
  jwt: JSON.parse(`{
    "sub": "a", "level": 3, "ratio": 0.5, "exp": 1800000000, "admin": true, "email": "A@b.example", "none": null,
    "groups": ["dev", "ops"], "roles": { "db": "reader" }, "constructor": "x", "__proto__": "y", "hasOwnProperty": 1
  }`),
  request: { headers: { 'x-team': 'blue' }, host: undefined },
  mcp: { tool: { name: 'get_user', target: 'crm' } },
}
const evaluated = (source: string, variables: Record<string, unknown> = VARIABLES) =>
  compileCel(source).evaluate(variables)

test.each([
  ['jwt.level == 3', true],
  ['jwt.level == 3.0', true],
  ['jwt.level > 2', true],
  ['jwt.level > 2.5', true],
  ['jwt.level + 1 == 4', true],
  ['jwt.level % 2 == 1', true],
  ['jwt.ratio == 0.5', true],
  ['jwt.ratio < 1', true],
  ['jwt.exp > 1700000000', true],
  ['jwt.level in [1, 2, 3]', true],
  ['size(jwt.groups) == 2', true],
  ['size(jwt.groups)', 2],
  ['jwt.groups[1]', 'ops'],
  ['jwt.groups', ['dev', 'ops']],
  ['jwt.roles', { db: 'reader' }],
  ['{"a": 1u, "b": [2.5, null]}', { a: 1, b: [2.5, null] }],
  ['jwt.roles["db"]', 'reader'],
  ['jwt.none == null', true],
  ['jwt.sub == 1', false],
  ['type(jwt.level) == int && type(jwt.ratio) == double', true],
  ['has(jwt.email)', true],
  ['has(jwt.phone)', false],
  ['has(request.host)', false],
  // The library's own: null counts as absent.
  ['has(jwt.none)', false],
  ['"none" in jwt', false],
  ['"ops" in jwt.groups', true],
  ['"x-team" in request.headers', true],
  ['request.headers["x-team"]', 'blue'],
  ['jwt.groups.exists(g, g == "ops")', true],
  ['jwt.groups.all(g, g == "ops")', false],
  ['jwt.groups.exists_one(g, g.startsWith("d"))', true],
  ['jwt.groups.filter(g, g != "ops")', ['dev']],
  ['jwt.groups.map(g, g + "!")', ['dev!', 'ops!']],
  ['["a"] + jwt.groups + []', ['a', 'dev', 'ops']],
  ['jwt.roles.exists(k, k == "db")', true],
  ['mcp.tool.name.startsWith("get_") && mcp.tool.name.endsWith("user")', true],
  ['mcp.tool.name.contains("_us")', true],
  ['mcp.tool.name.matches("^[a-z]+_[a-z]+$")', true],
  ['mcp.tool.name.matches("^user")', false],
  ['jwt.email.lowerAscii()', 'a@b.example'],
  ['jwt.sub.upperAscii()', 'A'],
  ['jwt.email.split("@")', ['A', 'b.example']],
  ['mcp.tool.name.replace("_", "-")', 'get-user'],
  ['"  x ".trim()', 'x'],
  ['mcp.tool.name.substring(4)', 'user'],
  ['size("dé🦊")', 3],
  ['jwt.missing == 1 || jwt.admin', true],
  ['nothing.at.all || jwt.admin', true],
  ['jwt.admin ? "yes" : nothing', 'yes'],
  ['true // a comment', true],
  ['// a comment\n"http://" + "a"', 'http://a'],
])('%s is %j', (source, expected) => {
  expect(evaluated(source)).toEqual(expected)
})

test.each([
  ['nothing', /no variable nothing/],
  ['nothing == null', /no variable nothing/],
  ['has(nothing.at)', /no variable nothing/],
  ['!has(nothing.at)', /no variable nothing/],
  ['constructor', /no variable constructor/],
  ['__proto__.a == 1', /no variable __proto__/],
  ['toString == null', /no variable toString/],
  ['request.host', /host/],
  ['jwt.missing == 1', /missing/],
  ['jwt.toString == ""', /toString/],
  ['jwt.groups[2]', /out of bounds/],
  ['jwt.sub > 1', /overload/],
  ['jwt.sub && true', /bool/],
  ['jwt.sub.matches("(")', /regexp|parenthes/],
])('%s is an error', (source, message) => {
  expect(() => evaluated(source)).toThrow(message)
})

describe('what an attacker sends', () => {
  test.each([
    ['jwt.constructor', 'x'],
    ['jwt["__proto__"]', 'y'],
    ['jwt.__proto__', 'y'],
    ['jwt.hasOwnProperty == 1', true],
    ['jwt.admin', true],
  ])('own members with the names of built-ins are members: %s', (source, expected) => {
    expect(evaluated(source)).toBe(expected)
  })

  test('a result does not get a prototype from an own __proto__', () => {
    const claims = JSON.parse('{"__proto__": {"admin": true}}')
    const result = evaluated('jwt', { jwt: claims })
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype)
    expect(() => evaluated('jwt.admin', { jwt: claims })).toThrow(/admin/)
  })

  test('an object without a prototype is like any other', () => {
    const headers = Object.assign(Object.create(null), { a: '1' })
    expect(evaluated('headers.a', { headers })).toBe('1')
  })

  test('a claim nested without end hides nothing else', () => {
    const nested = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)
    expect(evaluated('jwt.blocked', { jwt: { nested, blocked: true } })).toBe(true)
  })

  test.each(['(a+)+$', '(a|a)*b', '(.*a){20}b', '([a-z]+)*='])(
    'a text made for backtracking takes no time with %s',
    (pattern) => {
      const text = `${'a'.repeat(10_000)}!`
      const began = performance.now()
      expect(evaluated(`text.matches(pattern)`, { text, pattern })).toBe(false)
      expect(performance.now() - began).toBeLessThan(10_000)
    },
  )

  test('thousands of claims do not exhaust the stack', () => {
    const numbers = Array.from({ length: 20_000 }, (_, index) => index)
    expect(evaluated('n.map(x, x + 1).exists(x, x == 20000)', { n: numbers })).toBe(true)
    expect(evaluated('size(n.filter(x, x % 2 == 0) + n)', { n: numbers })).toBe(30_000)
  })

  test('lists that share a beginning do not grow into each other', () => {
    expect(evaluated('[[1].map(x, x) + [2], [1].map(x, x) + [3]]')).toEqual([
      [1, 2],
      [1, 3],
    ])
    const variables = { a: celValue([1]) }
    expect(evaluated('[a + [2], a + [3], a]', variables)).toEqual([[1, 2], [1, 3], [1]])
  })
})

describe('an expression that is none', () => {
  test.each([
    ['', 'line 1, column 1: an expression is missing'],
    ['a b', 'line 1, column 3: not understood from "b" on'],
    ['true &&\n  a = 1', 'line 2, column 5: not understood from "=" on'],
    ['if', 'line 1, column 1: a reserved word where a variable should be'],
    ['nosuch(1)', 'line 1, column 1: there is no function nosuch() that could be used like this'],
    ['a.nosuch(1)', 'line 1, column 2: there is no method nosuch() that could be used like this'],
    [
      'startsWith(a, "b")',
      'line 1, column 1: there is no function startsWith() that could be used like this',
    ],
    ['a.startsWith("b", "c")', 'line 1, column 2: startsWith() does not take 2 arguments'],
    [
      '[1].exists(x, nosuch(x))',
      'line 1, column 15: there is no function nosuch() that could be used like this',
    ],
    ['has(a)', 'line 1, column 1: there is no function has() that could be used like this'],
    ['('.repeat(20_000), 'nested too deeply'],
    [Array(30_000).fill('1').join('+'), 'nested too deeply'],
    ['a'.repeat(100_000), 'longer than 65536 characters'],
  ])('%.30j: %s', (source, message) => {
    const began = performance.now()
    expect(() => compileCel(source)).toThrow(new Error(message))
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test.each([
    ['mcp.tool.name == b', 'line 1, column 18: there is no b, only mcp, jwt'],
    ['jwt.any.thing && mcp.tool.nme == "x"', 'line 1, column 18: there is no mcp.tool.nme, only name'],
    ['["x"].exists(b, mcp["tol"].name == b)', 'line 1, column 17: there is no mcp.tol, only tool'],
    ['has(mcp.constructor)', 'line 1, column 5: there is no mcp.constructor, only tool'],
  ])('%j reads what cannot be there: %s', (source, message) => {
    const names = { mcp: { tool: { name: true } }, jwt: true } as const
    expect(() => compileCel(source, names)).toThrow(new Error(message))
  })

  test('its names are those it reads, not those of its loops or types', () => {
    const names = { jwt: true } as const
    const source = 'jwt.groups.exists(g, type(g) == string) && dyn(jwt)["x"] == 1 && int("1") == 1'
    expect(() => compileCel(source, names)).not.toThrow()
  })
})

test.each([
  ['mcp.tool.name == "x"', 'mcp.tool', true],
  ['mcp.tool.name == "x"', 'mcp', true],
  ['mcp.tool.name == "x"', 'mcp.tool.name', true],
  ['mcp.tool.name == "x"', 'mcp.to', false],
  ['mcp.tool.name == "x"', 'mcp.tool.name.first', false],
  ['mcp.tool.name.startsWith("x")', 'mcp.tool', true],
  ['has(mcp.tool)', 'mcp.tool', true],
  ['mcp["tool"].name == "x"', 'mcp.tool.name', true],
  ['.mcp.tool == null', 'mcp.tool', true],
  ['true ? [1] : [{"a": mcp.tool}]', 'mcp.tool', true],
  ['jwt.tools.exists(t, t == mcp.tool.name)', 'mcp.tool', true],
  ['jwt.tools[mcp.tool.name] == 1', 'mcp.tool', true],
  ['jwt.list.exists(mcp, mcp.tool == 1)', 'mcp.tool', false],
  ['mcp.list.exists(mcp, mcp.tool == 1)', 'mcp.list', true],
  ['jwt.sub == "mcp.tool"', 'mcp.tool', false],
  ['true // mcp.tool', 'mcp.tool', false],
  ['jwt.mcp.tool', 'mcp.tool', false],
])('%s mentions %s: %j', (source, path, expected) => {
  expect(compileCel(source).mentions(path)).toBe(expected)
})

test.each([
  ['request.headers["a"]', 'request.headers', true],
  ['request', 'request.headers', true],
  ['request[jwt.part]', 'request.headers', true],
  ['request.method', 'request.headers', false],
  ['jwt.request.headers', 'request.headers', false],
  ['1', 'request', false],
])('%s reads %s or a part of it: %j', (source, path, expected) => {
  expect(compileCel(source).reads(path)).toBe(expected)
})

test('what is no JSON is an error that does not quote it', () => {
  const message = (text: string) => {
    try {
      return compileCel('json(request.text)').evaluate({ request: { text } })
    } catch (error) {
      return String(error)
    }
  }
  expect(message('secret')).toBe('Error: json() of what is no JSON')
  expect(message('{"a": 1.5}')).toEqual({ a: 1.5 })
})

test.each([
  ['request.headers["x-a"] + request.headers.b + request.headers["x-a"]', ['x-a', 'b']],
  ['has(request.headers.a) && "c" in request.headers && request.headers[request.path] == ""', ['a']],
  ['request.headers["a"].b', ['a']],
  ['request.path + jwt.request.headers.a', []],
])('%s reads of the headers %j', (source, expected) => {
  expect(compileCel(source).membersOf('request.headers')).toEqual(expected)
})

test('a date is a timestamp, and one that is none is null', () => {
  const at = (source: string, t: Date) => compileCel(source).evaluate({ a: { t } })
  expect(at('a.t == timestamp("2026-01-01T00:00:00.250Z")', new Date('2026-01-01T00:00:00.250Z'))).toBe(true)
  expect(at('has(a.t)', new Date(Number.NaN))).toBe(false)
})

test('it evaluates again and again, with other variables', () => {
  const expression = compileCel('n + 1')
  expect([1, 2].map((n) => expression.evaluate({ n }))).toEqual([2, 3])
  expect(expression.source).toBe('n + 1')
})
