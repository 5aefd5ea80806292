/**
 * The last word on an exchange's tokens: the provider's, or the best that can be said without it.
 *
 * A stream that was cut has produced tokens that somebody pays for. What the provider had reported counts; the rest
 * is estimated from the text that passed, and the record says so.
 */
import type { Usage } from '../core/usage.ts'
import type { StreamObserver } from './observe.ts'
import type { LlmPlan } from './plan.ts'
import { inputTexts } from './request-facts.ts'

export type CountTokens = (texts: readonly string[]) => Promise<readonly number[]>

const CHARACTERS_PER_TOKEN = 4
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

async function estimate(
  plan: LlmPlan,
  output: string,
  extraCharacters: number,
  reported: Usage | undefined,
  count: CountTokens,
): Promise<void> {
  const { facts, clientBody } = plan
  const input =
    reported === undefined && clientBody !== undefined && facts.clientFormat !== undefined
      ? inputTexts(facts.clientFormat, clientBody)
      : { texts: [], extraTokens: 0 }
  const [outputTokens = 0, ...inputTokens] = await count([output, ...input.texts])
  const estimated = outputTokens + Math.ceil(extraCharacters / CHARACTERS_PER_TOKEN)
  facts.usage = {
    inputTokens: reported?.inputTokens ?? sum(inputTokens) + input.extraTokens,
    outputTokens: Math.max(reported?.outputTokens ?? 0, estimated),
    cacheReadTokens: reported?.cacheReadTokens ?? 0,
    cacheWriteTokens: reported?.cacheWriteTokens ?? 0,
    reasoningTokens: reported?.reasoningTokens ?? 0,
  }
  facts.usageSource = reported === undefined ? 'estimated' : 'partial'
}

/** Of a stream. Undefined when nothing has to be waited for. */
export function settleStream(
  plan: LlmPlan,
  observer: StreamObserver,
  count: CountTokens,
): Promise<void> | undefined {
  const { facts } = plan
  const reported = observer.usage()
  if (reported !== undefined && observer.usageIsFinal()) {
    facts.usage = reported
    facts.usageSource = 'provider'
    return undefined
  }
  const { text, extraCharacters } = observer.output()
  return estimate(plan, text, extraCharacters, reported, count)
}

/** Of a whole answer in which the provider reported nothing; `answer` is its text. */
export function settleWhole(plan: LlmPlan, answer: string, count: CountTokens): Promise<void> | undefined {
  return plan.facts.usage === undefined ? estimate(plan, answer, 0, undefined, count) : undefined
}

/** For a provider that cannot count: the input tokens of a messages request. */
export async function countInput(plan: LlmPlan, count: CountTokens): Promise<number> {
  const input = inputTexts('messages', plan.clientBody ?? {})
  return sum(await count(input.texts)) + input.extraTokens
}
