/**
 * `policies.ai.promptGuard`: what models are asked and what they answer, masked or refused by what is in it.
 *
 * Guards work on the client's own format: requests before they are translated, answers after. They run in order, each
 * on what the one before has left; the first that rejects ends it.
 */
import { type FaultReply, GatewayError } from '../../core/errors.ts'
import type { GuardCheck, WireFormat } from '../../core/exchange.ts'
import { BUILTIN_RULES } from './builtins.ts'
import { jsonStream } from './json-stream.ts'
import { patternRule } from './pattern.ts'
import type { Rule } from './rule.ts'
import type { GuardConfig, PromptGuardConfig, RejectionConfig } from './schema.ts'
import { inOrder, maskedStream, type TextStream } from './text-stream.ts'
import { type Edit, editAnswer, editRequest, type Scope, type TextKind } from './texts.ts'

type Phase = GuardCheck['phase']

export interface Guard {
  readonly phase: Phase
  readonly rules: readonly Rule[]
  readonly scopes: ReadonlySet<Scope>
  /** Undefined: what is found is masked. */
  readonly reject: ((rule: Rule) => GatewayError) | undefined
}

export interface PromptGuard {
  readonly request: readonly Guard[]
  readonly response: readonly Guard[]
  readonly readsStreams: boolean
}

export function promptGuard(config: PromptGuardConfig): PromptGuard {
  const guards = (phase: Phase) => (config[phase] ?? []).map((guard) => compileGuard(phase, guard))
  return {
    request: guards('request'),
    response: guards('response'),
    readsStreams: config.streaming === 'Enabled',
  }
}

function compileGuard(phase: Phase, { regex, scope, rejection }: GuardConfig): Guard {
  const reply = rejection && replyOf(rejection)
  return {
    phase,
    rules: regex.rules.map((rule) =>
      'builtin' in rule ? BUILTIN_RULES[rule.builtin] : patternRule(rule.pattern),
    ),
    scopes: new Set(scope),
    reject: regex.action === 'mask' ? undefined : (rule) => rejected(phase, rule, reply),
  }
}

function rejected(phase: Phase, { name }: Rule, reply: FaultReply | undefined): GatewayError {
  const message = `The ${phase} was rejected due to inappropriate content: it matches ${name}`
  return new GatewayError('guard_rejected', message, { reply })
}

function replyOf({ status, body, headers = {} }: RejectionConfig): FaultReply {
  const all: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...headers.set, ...headers.add }))
    all[name.toLowerCase()] = value
  for (const name of headers.remove ?? []) delete all[name.toLowerCase()]
  return { status, body, headers: all }
}

/** One guard at work on one request or answer, whose check it notes. */
interface ActiveGuard {
  readonly open: (scope: Scope, kind: TextKind) => TextStream
  readonly edit: Edit
}

const UNTOUCHED: TextStream = { advance: (piece) => piece }

function activate(guard: Guard, checks: GuardCheck[]): ActiveGuard {
  const check: GuardCheck = { phase: guard.phase, guard: 'regex', action: 'Allow' }
  checks.push(check)
  let matches = 0

  function found(rule: Rule): void {
    matches += 1
    check.action = guard.reject === undefined ? 'Mask' : 'Reject'
    if (guard.reject !== undefined) throw guard.reject(rule)
  }

  function open(scope: Scope, kind: TextKind): TextStream {
    if (!guard.scopes.has(scope)) return UNTOUCHED
    const text = () => maskedStream(guard.rules, found)
    return kind === 'json' ? jsonStream(text) : text()
  }

  return {
    open,
    edit(scope, kind, text) {
      const before = matches
      const edited = open(scope, kind).advance(text, true)
      return matches === before ? text : edited
    },
  }
}

type Body = Record<string, unknown>

/** The body itself where nothing is masked. Throws `GatewayError` where it is rejected. */
export function guardRequest(
  guards: readonly Guard[],
  format: WireFormat,
  body: Body,
  checks: GuardCheck[],
): Body {
  return guards.reduce((current, guard) => editRequest(format, current, activate(guard, checks).edit), body)
}

export function guardAnswer(
  guards: readonly Guard[],
  format: WireFormat,
  body: Body,
  checks: GuardCheck[],
): Body {
  return guards.reduce((current, guard) => editAnswer(format, current, activate(guard, checks).edit), body)
}

/** All guards at once, for a stream. */
export function guardsInOrder(guards: readonly Guard[], checks: GuardCheck[]): ActiveGuard {
  const active = guards.map((guard) => activate(guard, checks))
  return {
    open: (scope, kind) => inOrder(active.map((one) => one.open(scope, kind))),
    edit: (scope, kind, text) => active.reduce((edited, one) => one.edit(scope, kind, edited), text),
  }
}
