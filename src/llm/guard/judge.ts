/** What a service says of texts, done to them. */
import { type FaultReply, GatewayError } from '../../core/errors.ts'
import type { GuardAction, GuardCheck } from '../../core/exchange.ts'
import type { GuardService, Said, Verdict } from './service.ts'
import type { Edit, Heed, Scope, TextKind } from './texts.ts'
import type { Verdicts } from './verdicts.ts'

export interface ServiceGuard {
  readonly phase: GuardCheck['phase']
  readonly service: GuardService
  /** Instead of what the service says to those whom it rejects. */
  readonly reply: FaultReply | undefined
}

const SHOWN: ReadonlySet<Scope> = new Set(['systemPrompt', 'messages'])

export const isShown = (scope: Scope, kind: TextKind, text: string): boolean =>
  SHOWN.has(scope) && kind !== 'name' && text !== ''

/** Runs over the texts of a request or an answer, always in the same order. */
type Walk<T> = (edit: Edit, heed: Heed) => T

export function textsIn(walk: Walk<unknown>, usualRole: string): Said[] {
  const texts: Said[] = []
  let role = usualRole
  walk(
    (scope, kind, content) => {
      if (isShown(scope, kind, content)) texts.push({ role, content })
      return content
    },
    (of) => {
      role = typeof of === 'string' ? of : usualRole
    },
  )
  return texts
}

/** `masks`: one for each of `textsIn`. */
export function withMasks<T>(walk: Walk<T>, masks: readonly string[]): T {
  const next = masks.values()
  return walk(
    (scope, kind, text) => (isShown(scope, kind, text) ? (next.next().value ?? text) : text),
    () => {},
  )
}

/** The texts that take the place of `texts`; undefined where they stay. Throws `Unasked`, or `GatewayError`. */
export function judge(
  guard: ServiceGuard,
  texts: readonly Said[],
  verdicts: Verdicts | undefined,
  checks: GuardCheck[],
): readonly string[] | undefined {
  const { phase, service } = guard
  const note = (action: GuardAction, waitedMs?: number) =>
    checks.push({ phase, guard: service.kind, action, waitedMs })
  if (texts.length === 0) {
    note('Allow')
    return undefined
  }
  if (verdicts === undefined) throw new GatewayError('internal', 'internal error: nobody asks the guards')
  const { verdict, waitedMs } = verdicts.of(service, { phase, texts })
  switch (verdict.action) {
    case 'pass':
      note('Allow', waitedMs)
      return undefined
    case 'mask':
      note('Mask', waitedMs)
      return verdict.texts
    case 'reject':
      note('Reject', waitedMs)
      throw rejectedBy(guard, verdict)
    case 'failed': {
      note(service.failsOpen ? 'FailOpen' : 'Reject', waitedMs)
      if (service.failsOpen) return undefined
      const message = `failed to process LLM ${phase}: prompt guard failed`
      throw new GatewayError('guard_unavailable', message, { cause: verdict.cause })
    }
    default:
      verdict satisfies never
      return undefined
  }
}

function rejectedBy(
  { phase, service, reply }: ServiceGuard,
  { status = 403, body = '' }: Verdict & { readonly action: 'reject' },
): GatewayError {
  const message = `The ${phase} was rejected due to inappropriate content, says ${service.kind}`
  return new GatewayError('guard_rejected', message, { reply: reply ?? replyWith(status, body) })
}

/** A service's JSON is sent as it is; its words become an error of the client's API. */
function replyWith(status: number, said: string): FaultReply {
  if (isJsonObject(said)) return { status, body: said, headers: { 'content-type': 'application/json' } }
  return { status, body: undefined, headers: {}, ...(said !== '' && { message: said }) }
}

function isJsonObject(text: string): boolean {
  if (!text.trimStart().startsWith('{')) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
