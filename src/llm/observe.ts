/**
 * Reads the facts of a provider's answer (model, id, usage, finish reasons, first token) as it passes by.
 *
 * Works on the provider's own format, beside whatever happens to the bytes, so that pass-through and every
 * translation count the same way.
 */
import type { LlmFacts, WireFormat } from '../core/exchange.ts'
import type { Usage } from '../core/usage.ts'
import { laterUsage, readUsage } from '../usage/read.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Output text kept for an estimate, in characters; beyond it only the length is counted. */
export const KEPT_TEXT = 256 * 1024

/** Finish reasons kept: OpenAI allows 128 choices, and some servers repeat theirs in every chunk. */
const MAX_CHOICES = 128

export interface StreamObserver {
  /** One event's JSON; anything unknown is skipped. */
  readonly event: (json: unknown) => void
  /** `data: [DONE]`. */
  readonly done: () => void
  /** True once the answer is whole: its finish reason or terminator was seen. */
  readonly complete: () => boolean
  /** True once the provider has said that nothing follows (`[DONE]`, `message_stop`, the final response). */
  readonly terminated: () => boolean
  /** An error event of the provider: its message. */
  readonly error: () => string | undefined
  readonly usage: () => Usage | undefined
  /** True when `usage` is the provider's final word, not what it had said before a cut. */
  readonly usageIsFinal: () => boolean
  /** The output so far, for an estimate; `extraCharacters` were seen and not kept. */
  readonly output: () => { readonly text: string; readonly extraCharacters: number }
}

/** `message` of an error in any provider's shape. */
export function errorMessageIn(json: unknown): string | undefined {
  if (!isObject(json)) return typeof json === 'string' ? json : undefined
  const { error } = json
  if (isObject(error)) return typeof error.message === 'string' ? error.message : JSON.stringify(error)
  if (typeof error === 'string') return error
  return typeof json.message === 'string' ? json.message : undefined
}

function nameModel(facts: LlmFacts, source: Json): void {
  if (typeof source.model === 'string' && source.model !== '') facts.responseModel = source.model
  if (typeof source.id === 'string' && source.id !== '') facts.responseId = source.id
}

/** Facts of a whole answer. False when it is not an answer of this format at all. */
export function observeWhole(format: WireFormat, json: unknown, facts: LlmFacts): boolean {
  if (!isObject(json)) return false
  nameModel(facts, json)
  facts.usage = readUsage(format, json.usage)
  if (facts.usage !== undefined) facts.usageSource = 'provider'
  switch (format) {
    case 'completions': {
      const reasons = list(json.choices).map((choice) => (isObject(choice) ? text(choice.finish_reason) : ''))
      facts.finishReasons = reasons.filter((reason) => reason !== '')
      return Array.isArray(json.choices)
    }
    case 'messages':
      if (typeof json.stop_reason === 'string') facts.finishReasons = [json.stop_reason]
      return Array.isArray(json.content)
    case 'responses':
      if (typeof json.status === 'string') facts.finishReasons = [json.status]
      return Array.isArray(json.output)
    case 'embeddings':
      return Array.isArray(json.data)
    default:
      format satisfies never
      return false
  }
}

/** `now`: the monotonic clock, for the first token's time. */
export function observeStream(format: WireFormat, facts: LlmFacts, now: () => number): StreamObserver {
  let usage: Usage | undefined
  let rawUsage: Json = {}
  let final = false
  let complete = false
  let terminated = false
  let error: string | undefined
  let kept = ''
  let extra = 0

  function produced(value: unknown): void {
    if (typeof value !== 'string' || value === '') return
    facts.firstTokenAt ??= now()
    if (kept.length < KEPT_TEXT) kept += value
    else extra += value.length
  }

  function chat(json: Json): void {
    nameModel(facts, json)
    for (const choice of list(json.choices)) {
      if (!isObject(choice)) continue
      if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') {
        if (facts.finishReasons.length < MAX_CHOICES)
          facts.finishReasons = [...facts.finishReasons, choice.finish_reason]
        complete = true
      }
      const { delta } = choice
      if (!isObject(delta)) continue
      produced(delta.content)
      produced(delta.reasoning_content)
      produced(delta.refusal)
      for (const call of list(delta.tool_calls)) {
        if (!isObject(call) || !isObject(call.function)) continue
        produced(call.function.name)
        produced(call.function.arguments)
      }
    }
    // Some servers put usage into every chunk: the last one is the final word.
    const reported = isObject(json.usage) ? json.usage : isObject(json.x_groq) ? json.x_groq.usage : undefined
    const read = readUsage('completions', reported)
    if (read !== undefined) {
      usage = read
      final = complete
    }
  }

  function messages(json: Json): void {
    switch (json.type) {
      case 'message_start': {
        if (!isObject(json.message)) return
        nameModel(facts, json.message)
        rawUsage = laterUsage(rawUsage, json.message.usage)
        usage = readUsage('messages', rawUsage)
        return
      }
      case 'content_block_start': {
        if (!isObject(json.content_block)) return
        if (json.content_block.type === 'tool_use') produced(json.content_block.name)
        produced(json.content_block.text)
        return
      }
      case 'content_block_delta': {
        const { delta } = json
        if (!isObject(delta)) return
        produced(delta.text)
        produced(delta.thinking)
        produced(delta.partial_json)
        return
      }
      case 'message_delta': {
        rawUsage = laterUsage(rawUsage, json.usage)
        usage = readUsage('messages', rawUsage)
        if (isObject(json.delta) && typeof json.delta.stop_reason === 'string') {
          facts.finishReasons = [json.delta.stop_reason]
          final = isObject(json.usage)
        }
        return
      }
      case 'message_stop':
        complete = true
        terminated = true
        return
      default:
        return
    }
  }

  function responses(json: Json): void {
    switch (json.type) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
      case 'response.reasoning_text.delta':
      case 'response.reasoning_summary_text.delta':
        produced(json.delta)
        return
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        complete = true
        terminated = true
        break
      default:
        break
    }
    const { response } = json
    if (!isObject(response)) return
    nameModel(facts, response)
    const read = readUsage('responses', response.usage)
    if (read !== undefined) {
      usage = read
      final = complete
    }
    if (!complete) return
    if (typeof response.status === 'string') facts.finishReasons = [response.status]
    if (json.type === 'response.failed')
      error = errorMessageIn(response) ?? 'the provider failed the response'
  }

  return {
    event(json) {
      if (!isObject(json)) return
      if (isObject(json.error) || json.type === 'error') {
        error = errorMessageIn(json) ?? 'the provider reported an error inside the stream'
        return
      }
      if (format === 'messages') messages(json)
      else if (format === 'responses') responses(json)
      else chat(json)
    },
    done() {
      complete = true
      terminated = true
      if (usage !== undefined) final = true
    },
    complete: () => complete,
    terminated: () => terminated,
    error: () => error,
    usage: () => usage,
    usageIsFinal: () => final,
    output: () => ({ text: kept, extraCharacters: extra }),
  }
}
