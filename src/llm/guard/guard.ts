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
import { judge, type ServiceGuard, textsIn, withMasks } from './judge.ts'
import { patternRule } from './pattern.ts'
import type { Rule } from './rule.ts'
import type { GuardConfig, PromptGuardConfig, RegexConfig, RejectionConfig } from './schema.ts'
import type { GuardService } from './service.ts'
import { inOrder, maskedStream, type TextStream } from './text-stream.ts'
import { type Edit, editAnswer, editRequest, type Heed, type Scope, type TextKind } from './texts.ts'
import type { Verdicts } from './verdicts.ts'

type Phase = GuardCheck['phase']

export interface PatternGuard {
  readonly phase: Phase
  readonly service: undefined
  readonly rules: readonly Rule[]
  readonly scopes: ReadonlySet<Scope>
  /** Undefined: what is found is masked. */
  readonly reject: ((rule: Rule) => GatewayError) | undefined
}

export type Guard = PatternGuard | ServiceGuard

export interface PromptGuard {
  readonly request: readonly Guard[]
  readonly response: readonly Guard[]
  readonly readsStreams: boolean
  /** Services are asked. */
  readonly asks: boolean
}

/** Who is asked where the configuration says so. */
export type ServiceOf = (phase: Phase, index: number) => GuardService

export function promptGuard(config: PromptGuardConfig, serviceOf: ServiceOf): PromptGuard {
  const guards = (phase: Phase): Guard[] =>
    (config[phase] ?? []).map(({ regex, scope, rejection }: GuardConfig, index) => {
      const reply = rejection && replyOf(rejection)
      if (regex !== undefined) return patternGuard(phase, regex, scope, reply)
      return { phase, service: serviceOf(phase, index), reply }
    })
  const [request, response] = [guards('request'), guards('response')]
  return {
    request,
    response,
    readsStreams: config.streaming === 'Enabled',
    asks: [...request, ...response].some(({ service }) => service !== undefined),
  }
}

const USUAL_SCOPE: readonly Scope[] = ['systemPrompt', 'messages']

function patternGuard(
  phase: Phase,
  { rules, action }: RegexConfig,
  scope: readonly Scope[] = USUAL_SCOPE,
  reply: FaultReply | undefined,
): PatternGuard {
  return {
    phase,
    service: undefined,
    rules: rules.map((rule) => ('builtin' in rule ? BUILTIN_RULES[rule.builtin] : patternRule(rule.pattern))),
    scopes: new Set(scope),
    reject: action === 'mask' ? undefined : ({ name }) => rejected(phase, name, reply),
  }
}

function rejected(phase: Phase, name: string, reply: FaultReply | undefined): GatewayError {
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

function activate(guard: PatternGuard, checks: GuardCheck[]): ActiveGuard {
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

interface Walked {
  readonly role: 'user' | 'assistant'
  readonly edit: (body: Body, edit: Edit, heed?: Heed) => Body
}

/** One after the other, each on what the one before has left. */
function inTurn(
  guards: readonly Guard[],
  body: Body,
  { role, edit }: Walked,
  checks: GuardCheck[],
  verdicts: Verdicts | undefined,
): Body {
  return guards.reduce((current, guard) => {
    if (guard.service === undefined) return edit(current, activate(guard, checks).edit)
    const walk = (one: Edit, heed: Heed) => edit(current, one, heed)
    const masks = judge(guard, textsIn(walk, role), verdicts, checks)
    return masks === undefined ? current : withMasks(walk, masks)
  }, body)
}

/** The body itself where nothing is masked. Throws `GatewayError` where it is rejected, `Unasked` where it waits. */
export function guardRequest(
  guards: readonly Guard[],
  format: WireFormat,
  body: Body,
  checks: GuardCheck[],
  verdicts?: Verdicts,
): Body {
  if (guards.length === 0) return body
  const walked: Walked = { role: 'user', edit: (...all) => editRequest(format, ...all) }
  return inTurn(guards, body, walked, checks, verdicts)
}

export function guardAnswer(
  guards: readonly Guard[],
  format: WireFormat,
  body: Body,
  checks: GuardCheck[],
  verdicts?: Verdicts,
): Body {
  if (guards.length === 0) return body
  const walked: Walked = { role: 'assistant', edit: (answer, edit) => editAnswer(format, answer, edit) }
  return inTurn(guards, body, walked, checks, verdicts)
}

/** All guards at once, for a stream. */
export function guardsInOrder(guards: readonly PatternGuard[], checks: GuardCheck[]): ActiveGuard {
  const active = guards.map((guard) => activate(guard, checks))
  return {
    open: (scope, kind) => inOrder(active.map((one) => one.open(scope, kind))),
    edit: (scope, kind, text) => active.reduce((edited, one) => one.edit(scope, kind, edited), text),
  }
}
