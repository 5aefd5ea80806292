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
export const observeStream = (format: WireFormat, facts: LlmFacts, now: () => number): StreamObserver =>
  new Observer(format, facts, now)

/** Pieces that are put together at a time: a text that grows piece by piece keeps an object for each of them. */
const PIECES = 16

/** A class, for there is one for each stream: methods as closures would be most of its memory. */
class Observer implements StreamObserver {
  readonly #format: WireFormat
  readonly #facts: LlmFacts
  readonly #now: () => number
  #usage: Usage | undefined
  #rawUsage: Json = {}
  #isFinal = false
  #isComplete = false
  #isTerminated = false
  #error: string | undefined
  #kept = ''
  #keptLength = 0
  #pieces: string[] = []
  #extra = 0

  constructor(format: WireFormat, facts: LlmFacts, now: () => number) {
    this.#format = format
    this.#facts = facts
    this.#now = now
  }

  #produced(value: unknown): void {
    if (typeof value !== 'string' || value === '') return
    this.#facts.firstTokenAt ??= this.#now()
    if (this.#keptLength >= KEPT_TEXT) {
      this.#extra += value.length
      return
    }
    this.#keptLength += value.length
    this.#pieces.push(value)
    if (this.#pieces.length === PIECES) this.#putTogether()
  }

  #putTogether(): void {
    this.#kept += this.#pieces.join('')
    this.#pieces = []
  }

  #chat(json: Json): void {
    const facts = this.#facts
    nameModel(facts, json)
    for (const choice of list(json.choices)) {
      if (!isObject(choice)) continue
      if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') {
        if (facts.finishReasons.length < MAX_CHOICES)
          facts.finishReasons = [...facts.finishReasons, choice.finish_reason]
        this.#isComplete = true
      }
      const { delta } = choice
      if (!isObject(delta)) continue
      this.#produced(delta.content)
      this.#produced(delta.reasoning_content)
      this.#produced(delta.refusal)
      for (const call of list(delta.tool_calls)) {
        if (!isObject(call) || !isObject(call.function)) continue
        this.#produced(call.function.name)
        this.#produced(call.function.arguments)
      }
    }
    // Some servers put usage into every chunk: the last one is the final word.
    const reported = isObject(json.usage) ? json.usage : isObject(json.x_groq) ? json.x_groq.usage : undefined
    const read = readUsage('completions', reported)
    if (read !== undefined) {
      this.#usage = read
      this.#isFinal = this.#isComplete
    }
  }

  #messages(json: Json): void {
    const facts = this.#facts
    switch (json.type) {
      case 'message_start': {
        if (!isObject(json.message)) return
        nameModel(facts, json.message)
        this.#rawUsage = laterUsage(this.#rawUsage, json.message.usage)
        this.#usage = readUsage('messages', this.#rawUsage)
        return
      }
      case 'content_block_start': {
        if (!isObject(json.content_block)) return
        if (json.content_block.type === 'tool_use') this.#produced(json.content_block.name)
        this.#produced(json.content_block.text)
        return
      }
      case 'content_block_delta': {
        const { delta } = json
        if (!isObject(delta)) return
        this.#produced(delta.text)
        this.#produced(delta.thinking)
        this.#produced(delta.partial_json)
        return
      }
      case 'message_delta': {
        this.#rawUsage = laterUsage(this.#rawUsage, json.usage)
        this.#usage = readUsage('messages', this.#rawUsage)
        if (isObject(json.delta) && typeof json.delta.stop_reason === 'string') {
          facts.finishReasons = [json.delta.stop_reason]
          this.#isFinal = isObject(json.usage)
        }
        return
      }
      case 'message_stop':
        this.#isComplete = true
        this.#isTerminated = true
        return
      default:
        return
    }
  }

  #responses(json: Json): void {
    const facts = this.#facts
    switch (json.type) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
      case 'response.reasoning_text.delta':
      case 'response.reasoning_summary_text.delta':
        this.#produced(json.delta)
        return
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        this.#isComplete = true
        this.#isTerminated = true
        break
      default:
        break
    }
    const { response } = json
    if (!isObject(response)) return
    nameModel(facts, response)
    const read = readUsage('responses', response.usage)
    if (read !== undefined) {
      this.#usage = read
      this.#isFinal = this.#isComplete
    }
    if (!this.#isComplete) return
    if (typeof response.status === 'string') facts.finishReasons = [response.status]
    if (json.type === 'response.failed')
      this.#error = errorMessageIn(response) ?? 'the provider failed the response'
  }

  event(json: unknown): void {
    if (!isObject(json)) return
    if (isObject(json.error) || json.type === 'error') {
      this.#error = errorMessageIn(json) ?? 'the provider reported an error inside the stream'
      return
    }
    if (this.#format === 'messages') this.#messages(json)
    else if (this.#format === 'responses') this.#responses(json)
    else this.#chat(json)
  }

  done(): void {
    this.#isComplete = true
    this.#isTerminated = true
    if (this.#usage !== undefined) this.#isFinal = true
  }

  complete(): boolean {
    return this.#isComplete
  }

  terminated(): boolean {
    return this.#isTerminated
  }

  error(): string | undefined {
    return this.#error
  }

  usage(): Usage | undefined {
    return this.#usage
  }

  usageIsFinal(): boolean {
    return this.#isFinal
  }

  output() {
    this.#putTogether()
    return { text: this.#kept, extraCharacters: this.#extra }
  }
}
