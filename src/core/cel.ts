/**
 * Conditions in the Common Expression Language, and the only module that knows the library behind them.
 * https://github.com/google/cel-spec/blob/master/doc/langdef.md
 *
 * JSON has one kind of number, CEL three: a whole number becomes an int, so `1.0` in a token is the int 1 here.
 * `has()` and `in` take a member that is null for absent; the specification would have it present.
 *
 * What an attacker sends are values, not expressions. `matches` is RE2 in JavaScript (linear in the text, no
 * backtracking), values are bounded in depth, and running out of stack is an error like any other. Not bounded are the
 * steps of loops within loops: they take the product of the lists' lengths.
 */
import { createRequire } from 'node:module'
import type { CelInput, CelList, CelValue } from '@bufbuild/cel'

type Library = typeof import('@bufbuild/cel')
type Expr = ReturnType<Library['parse']>['expr']
type Parsed = ReturnType<Library['parse']>

/** The variables there are, and their members, as deep as they are known; `true` is any member. */
export type Names = true | { readonly [name: string]: Names }

export interface CelExpression {
  readonly source: string
  /**
   * A plain value. Throws on an evaluation error: an unbound variable, an absent member, operands of the wrong
   * kinds. Timestamps, durations and types come as objects of the library's.
   */
  readonly evaluate: (variables: Readonly<Record<string, unknown>>) => unknown
  /** Whether the expression reads this path, such as `mcp.tool`, or something below it. */
  readonly mentions: (path: string) => boolean
  /** The same, or something that this path is a part of: `request` reads `request.headers`, too. */
  readonly reads: (path: string) => boolean
  /** Of what is at this path, the members that are read by names that stand in the expression. */
  readonly membersOf: (path: string) => readonly string[]
}

/** `id` is where: of the variable that the path begins with. */
interface FoundPath {
  readonly id: bigint
  readonly path: string[]
}

interface FoundCall {
  readonly id: bigint
  readonly name: string
  readonly method: boolean
  readonly count: number
}

interface Findings {
  readonly paths: FoundPath[]
  readonly calls: FoundCall[]
}

const MAX_SOURCE_LENGTH = 64 * 1024
/** No rule looks this deep; what a client nested deeper reads as null instead of exhausting the stack. */
const MAX_DEPTH = 64
/** Of the pieces a list is made of when it grows one by one, as `map` and `filter` have it. */
const PIECE_LENGTH = 128

/** Names that are values without anyone binding them. */
const TYPES = new Set('bool bytes double google int list map null_type string type uint'.split(' '))
/** What the evaluator knows without a function of that name. */
const BUILT_IN = new Set(['_&&_', '_||_', '_?_:_', '_[_]', '@not_strictly_false'])

// Loaded with the first expression: some 30 MB and 55 ms that a gateway without rules does not pay.
let engine: ReturnType<typeof load> | undefined

function load() {
  const require = createRequire(import.meta.url)
  const cel: Library = require('@bufbuild/cel')
  const extensions: typeof import('@bufbuild/cel/ext') = require('@bufbuild/cel/ext')
  const list = cel.listType(cel.CelScalar.DYN)
  const append = cel.celFunc('_+_', [list, list], list, appender(cel))
  const json = cel.celFunc('json', [cel.CelScalar.STRING], cel.CelScalar.DYN, celOfJson)
  const env = cel.celEnv({ funcs: [...extensions.strings, append, json] })
  const timestamp = cel.plan(env, cel.parse('timestamp(text)'))
  return { cel, env, timestamp }
}

/** The library's own nests one list per element, and runs out of stack on reading some thousands of them. */
function appender(cel: Library) {
  const piecesOf = new WeakMap<CelList, readonly CelList[]>()
  const itemsOf = new WeakMap<CelList, readonly CelValue[]>()
  return (left: CelList, right: CelList): CelList => {
    const pieces = [...(piecesOf.get(left) ?? [left])]
    const last = pieces.at(-1)
    if (last !== undefined && last.size + right.size <= PIECE_LENGTH) {
      const items = [...(itemsOf.get(last) ?? last), ...right]
      const longer = cel.celList(items)
      itemsOf.set(longer, items)
      pieces.splice(-1, 1, longer)
    } else {
      pieces.push(...(piecesOf.get(right) ?? [right]))
    }
    const joined = cel.celListConcat(...pieces)
    piecesOf.set(joined, pieces)
    return joined
  }
}

/**
 * Throws an error that says what is wrong with the expression and where. With `names`, a variable or member that is
 * not among them is wrong, too: it could never be anything but an evaluation error.
 */
export function compileCel(source: string, names: Names = true): CelExpression {
  if (source.length > MAX_SOURCE_LENGTH) throw new Error(`longer than ${MAX_SOURCE_LENGTH} characters`)
  engine ??= load()
  const { cel, env } = engine
  const { findings, run } = understood(() => {
    // The grammar wants the end of a line after a comment, even at the very end.
    const commented = source.lastIndexOf('//') > source.lastIndexOf('\n')
    const parsed = cel.parse(commented ? `${source}\n` : source)
    const findings: Findings = { paths: [], calls: [] }
    explore(parsed.expr, [], findings)
    checkCalls(findings, parsed, source)
    checkNames(findings, names, parsed, source)
    return { findings, run: cel.plan(env, parsed) }
  })
  const roots = new Set(findings.paths.flatMap(({ path }) => path.slice(0, 1)))
  const unbound = [...roots]
    .filter((name) => !TYPES.has(name))
    .map((name) => [name, cel.celError(`there is no variable ${name}`)] as const)

  return {
    source,
    evaluate(variables) {
      // An error as a value, lest `has(jwt.email)` is false for want of `jwt`: the evaluator hands it on as its own.
      const bindings = Object.create(null)
      for (const [name, error] of unbound) bindings[name] = error
      for (const name of roots) {
        if (!Object.hasOwn(variables, name) || variables[name] === undefined) continue
        bindings[name] = celValue(variables[name])
      }
      const result = run(bindings)
      if (cel.isCelError(result)) throw result
      return plainValue(result, cel)
    },
    mentions(path) {
      const wanted = path.split('.')
      return findings.paths.some((found) => wanted.every((part, index) => found.path[index] === part))
    },
    reads(path) {
      const wanted = path.split('.')
      return findings.paths.some((found) =>
        found.path.every((part, index) => part === (wanted[index] ?? part)),
      )
    },
    membersOf(path) {
      const wanted = path.split('.')
      const inside = findings.paths.filter((found) =>
        wanted.every((part, index) => found.path[index] === part),
      )
      return [...new Set(inside.flatMap((found) => found.path.slice(wanted.length, wanted.length + 1)))]
    },
  }
}

function celOfJson(text: string): CelInput {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The engine's message quotes the text.
    throw new Error('json() of what is no JSON')
  }
  return celValue(value)
}

/** What is no date becomes null. */
function timestampOf(date: Date): CelInput {
  engine ??= load()
  const made = Number.isNaN(date.getTime()) ? null : engine.timestamp({ text: date.toISOString() })
  return engine.cel.isCelError(made) ? null : made
}

/**
 * A JSON value as expressions see it; a `Date` is a timestamp. Done by `evaluate`; worth doing beforehand for what many evaluations share.
 * Members that are undefined are absent. An own `__proto__` or `constructor` is a member like any other.
 */
export function celValue(value: unknown, depth = 0): CelInput {
  engine ??= load()
  const { cel } = engine
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return value
    case 'number':
      return Number.isSafeInteger(value) ? BigInt(value) : value
    case 'object':
      break
    default:
      return null
  }
  if (value === null || depth > MAX_DEPTH) return null
  if (cel.isCelMap(value) || cel.isCelList(value)) return value
  if (value instanceof Date) return timestampOf(value)
  if (Array.isArray(value)) return cel.celList(value.map((item) => celValue(item, depth + 1)))
  const members = new Map<string, CelInput>()
  for (const [name, member] of Object.entries(value))
    if (member !== undefined) members.set(name, celValue(member, depth + 1))
  return cel.celMap(members)
}

function plainValue(value: CelValue, cel: Library): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (cel.isCelUint(value)) return plainValue(value.value, cel)
  if (cel.isCelList(value)) return [...value].map((item) => plainValue(item, cel))
  if (cel.isCelMap(value))
    return Object.fromEntries(
      [...value].map(([key, member]) => [String(plainValue(key, cel)), plainValue(member, cel)]),
    )
  return value
}

/** Notes every path and call. `hidden` are the names that loops around it bind. */
function explore(expr: Expr | undefined, hidden: readonly string[], findings: Findings): void {
  if (expr === undefined) return
  const found = pathOf(expr)
  if (found !== undefined) {
    if (!hidden.includes(found.path[0] ?? '')) findings.paths.push(found)
    return
  }
  const visit = (child: Expr | undefined) => explore(child, hidden, findings)
  const { case: kind, value } = expr.exprKind
  switch (kind) {
    case 'selectExpr':
      visit(value.operand)
      break
    case 'callExpr': {
      const space = value.target === undefined ? undefined : pathOf(value.target)?.path.join('.')
      const qualified = `${space}.${value.function}`
      const method = value.target !== undefined && engine?.env.funcs.find(qualified) === undefined
      const name = method || value.target === undefined ? value.function : qualified
      findings.calls.push({ id: expr.id, name, method, count: value.args.length })
      if (method) visit(value.target)
      value.args.forEach(visit)
      break
    }
    case 'listExpr':
      value.elements.forEach(visit)
      break
    case 'structExpr':
      for (const entry of value.entries) {
        if (entry.keyKind.case === 'mapKey') visit(entry.keyKind.value)
        visit(entry.value)
      }
      break
    case 'comprehensionExpr': {
      const inside = [...hidden, value.accuVar, value.iterVar, value.iterVar2]
      visit(value.iterRange)
      visit(value.accuInit)
      for (const child of [value.loopCondition, value.loopStep, value.result])
        explore(child, inside, findings)
    }
  }
}

/** `a.b["c"]`; undefined for anything that is not a chain of known names. */
function pathOf(expr: Expr): FoundPath | undefined {
  const { case: kind, value } = expr.exprKind
  if (kind === 'identExpr') return { id: expr.id, path: [value.name.replace(/^\./, '')] }
  if (kind === 'selectExpr') return extended(value.operand, value.field)
  if (kind !== 'callExpr' || value.function !== '_[_]') return undefined
  const [operand, index] = value.args
  const key = index?.exprKind.case === 'constExpr' ? index.exprKind.value.constantKind : undefined
  return key?.case === 'stringValue' ? extended(operand, key.value) : undefined
}

function extended(operand: Expr | undefined, name: string): FoundPath | undefined {
  const found = operand && pathOf(operand)
  found?.path.push(name)
  return found
}

function checkCalls({ calls }: Findings, parsed: Parsed, source: string): void {
  for (const { id, name, method, count } of calls) {
    if (BUILT_IN.has(name)) continue
    const overloads = [...(engine?.env.funcs.find(name) ?? [])].filter(
      (overload) => (overload.target !== undefined) === method,
    )
    if (overloads.some((overload) => overload.arguments.length === count)) continue
    const problem =
      overloads.length === 0
        ? `there is no ${method ? 'method' : 'function'} ${name}() that could be used like this`
        : `${name}() does not take ${count} ${count === 1 ? 'argument' : 'arguments'}`
    throw new Error(`${placeOf(id, parsed, source)}: ${problem}`)
  }
}

function checkNames({ paths }: Findings, names: Names, parsed: Parsed, source: string): void {
  for (const { id, path } of paths) {
    if (TYPES.has(path[0] ?? '')) continue
    let known = names
    for (const [index, part] of path.entries()) {
      if (known === true) break
      const next: Names | undefined = Object.hasOwn(known, part) ? known[part] : undefined
      if (next === undefined) {
        const whole = path.slice(0, index + 1).join('.')
        const choice = Object.keys(known).join(', ') || 'nothing'
        throw new Error(`${placeOf(id, parsed, source)}: there is no ${whole}, only ${choice}`)
      }
      known = next
    }
  }
}

function placeOf(id: bigint, parsed: Parsed, source: string): string {
  const lines = source.slice(0, parsed.sourceInfo?.positions[String(id)] ?? 0).split('\n')
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`
}

function understood<T>(compile: () => T): T {
  try {
    return compile()
  } catch (cause) {
    if (cause instanceof RangeError) throw new Error('nested too deeply', { cause })
    if (!(cause instanceof Error)) throw cause
    const [, line, column, problem = ''] = /^<input>:(\d+):(\d+): (.*)$/s.exec(cause.message) ?? []
    if (line === undefined) throw cause
    throw new Error(`line ${line}, column ${column}: ${inPlainWords(problem)}`, { cause })
  }
}

/** The grammar tells all that could have come instead: everything, mostly. */
function inPlainWords(problem: string): string {
  const [, found] = /^found (.*?) but expecting /s.exec(problem) ?? []
  if (problem === 'reserved identifier') return 'a reserved word where a variable should be'
  if (found === undefined) return problem
  return found === 'end of input'
    ? 'an expression is missing'
    : `not understood from ${JSON.stringify(found)} on`
}
