/** Why an answer ended, in both vocabularies. What is received is an open set: see the fallbacks. */
import type { StopReason } from '../wire/anthropic-messages.ts'
import type { ChatFinishReason } from '../wire/openai-chat.ts'

const OF_STOP_REASON = new Map<unknown, ChatFinishReason>([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['pause_turn', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])

const OF_FINISH_REASON = new Map<unknown, StopReason>([
  ['stop', 'end_turn'],
  ['length', 'max_tokens'],
  ['tool_calls', 'tool_use'],
  ['function_call', 'tool_use'],
  ['content_filter', 'refusal'],
])

export const finishReason = (stopReason: unknown): ChatFinishReason =>
  OF_STOP_REASON.get(stopReason) ?? 'stop'

/** What else the answer held, where the finish reason alone does not tell. */
interface AnswerFacts {
  readonly hasToolCalls: boolean
  readonly hasRefusal: boolean
}

export function stopReason(finishReason: unknown, facts: AnswerFacts): StopReason {
  const reason = OF_FINISH_REASON.get(finishReason) ?? 'end_turn'
  if (reason !== 'end_turn') return reason
  // OpenAI says `stop` for a call of a tool that was forced, and for a refusal in the model's own words.
  if (facts.hasToolCalls) return 'tool_use'
  return facts.hasRefusal ? 'refusal' : 'end_turn'
}
