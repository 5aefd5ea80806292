/** Reasoning as a level (OpenAI) and as a budget of tokens (Anthropic). */
import type { ReasoningEffort } from '../wire/openai-chat.ts'
import { fail, stringAt } from './request-values.ts'

/** Anthropic's least budget. */
export const LEAST_BUDGET = 1024

const BUDGETS: Readonly<Record<ReasoningEffort, number | undefined>> = {
  none: undefined,
  minimal: 1024,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16384,
}

const isEffort = (text: string): text is ReasoningEffort => Object.hasOwn(BUDGETS, text)

export function effortAt(value: unknown, place: string): ReasoningEffort {
  const text = stringAt(value, place)
  return isEffort(text) ? text : fail(place, `expected one of ${Object.keys(BUDGETS).join(', ')}`)
}

/** Undefined: do not think. */
export const budgetOf = (effort: ReasoningEffort): number | undefined => BUDGETS[effort]

/** The highest level whose budget is covered. */
export function effortOfBudget(tokens: number): ReasoningEffort {
  if (tokens >= 16384) return 'max'
  if (tokens >= 8192) return 'xhigh'
  if (tokens >= 4096) return 'high'
  return tokens >= 2048 ? 'medium' : 'low'
}
