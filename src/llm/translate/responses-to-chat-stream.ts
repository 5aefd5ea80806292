/**
 * Chat completion chunks as the events of a Responses stream.
 *
 * Nothing is completed before `[DONE]`: usage comes after the finish reason, and until then the provider may still
 * break off.
 */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import type { IncompleteReason } from '../wire/openai-responses.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { arrayOf, countOf, eventData, objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'
import { type Answer, type CallInProgress, newAnswer } from './responses-answer.ts'
import {
  begin,
  failAnswer,
  finish,
  openCall,
  takeEvents,
  writeArguments,
  writeCitation,
  writeReasoning,
  writeRefusal,
  writeText,
} from './responses-event-writer.ts'
import { usageOfChat } from './token-usage.ts'
import type { StreamStep } from './translation.ts'

interface HeldCall {
  id: string
  /** Arguments that came before the name. */
  readonly held: string[]
  /** Undefined until the name is known. */
  call: CallInProgress | undefined
}

export interface ResponsesFromChatState {
  readonly answer: Answer
  /** By the index that the provider gives them. */
  readonly calls: Map<number, HeldCall>
  finishReason: unknown
  isOver: boolean
}

export const responsesFromChatStream: StreamStep<ResponsesFromChatState> = {
  start: (context) => ({
    answer: newAnswer(context),
    calls: new Map(),
    finishReason: undefined,
    isOver: false,
  }),
  step: (state, event) => {
    if (!state.isOver) translate(state, event)
    return [state, takeEvents(state.answer)]
  },
  end: (state) => {
    if (!state.isOver) breakOff(state, errorBody('responses', 502, ENDED_EARLY, null))
    return takeEvents(state.answer)
  },
}

function translate(state: ResponsesFromChatState, event: SseEvent): void {
  const { answer } = state
  if (event.data === '[DONE]') {
    // A stream that says nothing but that it is over has answered nothing.
    if (!answer.hasBegun) return breakOff(state, errorBody('responses', 502, ENDED_EARLY, null))
    state.isOver = true
    return finish(answer, incompleteReason(state.finishReason))
  }
  const chunk = eventData(event)
  if (event.event === 'error' || isObject(chunk.error) || typeof chunk.error === 'string') {
    return breakOff(state, providerStreamError('responses', chunk))
  }
  noteFacts(answer, chunk)
  begin(answer)
  const choice = objectOf(arrayOf(chunk.choices)[0])
  writeDelta(state, objectOf(choice.delta), arrayOf(objectOf(choice.logprobs).content))
  state.finishReason = choice.finish_reason ?? state.finishReason
}

function breakOff(state: ResponsesFromChatState, body: Json): void {
  state.isOver = true
  failAnswer(state.answer, body)
}

/** What a chunk and a whole completion say about themselves. The id must not change once it was shown. */
export function noteFacts(answer: Answer, reply: Json): void {
  if (!answer.hasBegun) {
    answer.id = textOf(reply.id) || answer.id
    answer.model = textOf(reply.model) || answer.model
  }
  answer.serviceTier = textOf(reply.service_tier) || answer.serviceTier
  if (isObject(reply.usage)) answer.usage = usageOfChat(reply.usage)
}

function writeDelta(state: ResponsesFromChatState, delta: Json, logprobs: readonly unknown[]): void {
  const { answer } = state
  writeSpeech(answer, delta, logprobs)
  for (const piece of arrayOf(delta.tool_calls).map(objectOf)) writeCallPiece(state, piece)
}

/** Of a delta or a whole message: the same fields in both. */
export function writeSpeech(answer: Answer, message: Json, logprobs: readonly unknown[]): void {
  // Two names for one thing that OpenAI's own API does not have.
  writeReasoning(answer, textOf(message.reasoning_content) || textOf(message.reasoning))
  writeText(answer, textOf(message.content), logprobs.map(logprobOf))
  for (const annotation of arrayOf(message.annotations).map(objectOf)) {
    const citation = objectOf(annotation.url_citation)
    if (textOf(citation.url) === '') continue
    writeCitation(answer, {
      type: 'url_citation',
      url: textOf(citation.url),
      title: textOf(citation.title),
      start_index: countOf(citation.start_index),
      end_index: countOf(citation.end_index),
    })
  }
  writeRefusal(answer, textOf(message.refusal))
}

/** The same entry in both APIs, cut down to what they document. */
function logprobOf(value: unknown) {
  const entry = objectOf(value)
  return {
    token: textOf(entry.token),
    logprob: Number(entry.logprob ?? 0),
    top_logprobs: arrayOf(entry.top_logprobs)
      .map(objectOf)
      .map((top) => ({ token: textOf(top.token), logprob: Number(top.logprob ?? 0) })),
  }
}

function writeCallPiece(state: ResponsesFromChatState, piece: Json): void {
  const { answer, calls } = state
  // Some servers leave the index out when there is one call only.
  const index = typeof piece.index === 'number' ? piece.index : 0
  const called = objectOf(piece.function)
  const known = calls.get(index) ?? { id: '', held: [], call: undefined }
  calls.set(index, known)
  known.id ||= textOf(piece.id)

  if (known.call === undefined) {
    known.held.push(textOf(called.arguments))
    const name = textOf(called.name)
    if (name === '') return
    known.call = openCall(answer, known.id, name)
    writeArguments(answer, known.call, known.held.join(''))
    return
  }
  writeArguments(answer, known.call, textOf(called.arguments))
}

const INCOMPLETE = new Map<unknown, IncompleteReason>([
  ['length', 'max_output_tokens'],
  ['content_filter', 'content_filter'],
])

/** Undefined: the answer is whole. */
export const incompleteReason = (finishReason: unknown): IncompleteReason | undefined =>
  INCOMPLETE.get(finishReason)
