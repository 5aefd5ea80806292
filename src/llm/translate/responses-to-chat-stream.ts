/**
 * Chat completion chunks as the events of a Responses stream.
 *
 * Nothing is completed before `[DONE]`: usage comes after the finish reason, and until then the provider may still
 * break off.
 */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import type { IncompleteReason } from '../wire/openai-responses.ts'
import { contentText, reasoningOf } from './messages-to-chat-response.ts'
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
  finishReason: string | undefined
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
    // Some servers end without `[DONE]`; a finish reason says as much.
    if (!state.isOver && state.finishReason !== undefined) complete(state)
    if (!state.isOver) breakOff(state, errorBody('responses', 502, ENDED_EARLY, null))
    return takeEvents(state.answer)
  },
}

function translate(state: ResponsesFromChatState, event: SseEvent): void {
  const { answer } = state
  if (event.data === '[DONE]') {
    // A stream that says nothing but that it is over has answered nothing.
    if (answer.hasBegun) complete(state)
    else breakOff(state, errorBody('responses', 502, ENDED_EARLY, null))
    return
  }
  const chunk = eventData(event)
  if (event.event === 'error' || isObject(chunk.error) || typeof chunk.error === 'string') {
    breakOff(state, providerStreamError('responses', chunk))
    return
  }
  noteFacts(answer, chunk)
  begin(answer)
  const choice = objectOf(arrayOf(chunk.choices)[0])
  const delta = objectOf(choice.delta)
  writeSpeech(answer, delta, arrayOf(objectOf(choice.logprobs).content))
  for (const piece of arrayOf(delta.tool_calls).map(objectOf)) writeCallPiece(state, piece)
  state.finishReason = textOf(choice.finish_reason) || state.finishReason
}

function complete(state: ResponsesFromChatState): void {
  state.isOver = true
  finish(state.answer, incompleteReason(state.finishReason))
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

/** Of a delta or a whole message: the same fields in both. */
export function writeSpeech(answer: Answer, message: Json, logprobs: readonly unknown[]): void {
  writeReasoning(answer, reasoningOf(message))
  writeText(answer, contentText(message.content), logprobs.map(logprobOf))
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
  const called = objectOf(piece.function)
  const id = textOf(piece.id)
  const name = textOf(called.name)
  // Some servers leave the index out when there is one call only.
  const index = typeof piece.index === 'number' ? piece.index : 0
  let known = state.calls.get(index)
  // Others number every call 0: a name with an id of its own begins another one.
  if (known === undefined || (id !== '' && name !== '' && known.id !== '' && known.id !== id)) {
    known = { id, held: [], call: undefined }
    state.calls.set(index, known)
  }
  known.id ||= id

  const piecesOfArguments = textOf(called.arguments)
  if (known.call === undefined && name === '') {
    known.held.push(piecesOfArguments)
    return
  }
  known.call ??= openCall(state.answer, known.id, name)
  writeArguments(state.answer, known.call, known.held.splice(0).join('') + piecesOfArguments)
}

const INCOMPLETE = new Map<unknown, IncompleteReason>([
  ['length', 'max_output_tokens'],
  ['content_filter', 'content_filter'],
])

/** Undefined: the answer is whole. */
export const incompleteReason = (finishReason: unknown): IncompleteReason | undefined =>
  INCOMPLETE.get(finishReason)
