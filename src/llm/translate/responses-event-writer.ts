/**
 * Writes an answer as the events of a Responses stream, in the order in which OpenAI sends them; a whole answer is
 * written the same way and its events thrown away, so that both modes end in the same response object.
 * https://platform.openai.com/docs/api-reference/responses-streaming
 *
 * At most one message or reasoning item is open at a time. Calls stay open beside each other, because chat
 * completions may send the arguments of parallel calls in turns.
 */
import type { SseEvent } from '../../core/sse.ts'
import type {
  IncompleteReason,
  ItemStatus,
  ResponsesEventBody,
  UrlCitation,
} from '../wire/openai-responses.ts'
import { objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import {
  type Answer,
  type CallInProgress,
  contentPart,
  type ItemInProgress,
  joined,
  type MessageInProgress,
  outputItem,
  type ReasoningInProgress,
  type RefusalPart,
  responseOf,
  type TextPart,
} from './responses-answer.ts'
import { customInput, customNameOf } from './responses-custom-tools.ts'

export function takeEvents(answer: Answer): readonly SseEvent[] {
  const events = answer.events
  answer.events = []
  return events.map((event) => ({ event: event.type, data: JSON.stringify(event) }))
}

function push(answer: Answer, event: ResponsesEventBody): void {
  answer.events.push({ ...event, sequence_number: answer.nextSequence++ })
}

/** Comes before everything else; may be repeated. */
export function begin(answer: Answer): void {
  if (answer.hasBegun) return
  answer.hasBegun = true
  push(answer, { type: 'response.created', response: responseOf(answer) })
  push(answer, { type: 'response.in_progress', response: responseOf(answer) })
}

function add<Item extends ItemInProgress>(answer: Answer, item: Item): Item {
  answer.items.push(item)
  push(answer, { type: 'response.output_item.added', output_index: item.outputIndex, item: outputItem(item) })
  return item
}

function newItem(answer: Answer, prefix: string) {
  const outputIndex = answer.items.length
  return { id: `${prefix}_${answer.seed}_${outputIndex}`, outputIndex, status: 'in_progress' as const }
}

/** The fields by which an event says where it belongs. */
const inItem = (item: ItemInProgress) => ({ item_id: item.id, output_index: item.outputIndex })
const inLastPart = (item: MessageInProgress) => ({ ...inItem(item), content_index: item.parts.length - 1 })

export function writeText(answer: Answer, delta: string, logprobs: readonly unknown[] = []): void {
  if (delta === '') return
  const message = openMessage(answer)
  const last = message.parts.at(-1)
  const part =
    last?.kind === 'text'
      ? last
      : addPart(answer, message, { kind: 'text', pieces: [], annotations: [], logprobs: [] })
  part.pieces.push(delta)
  for (const logprob of logprobs) part.logprobs.push(logprob)
  push(answer, { type: 'response.output_text.delta', ...inLastPart(message), delta, logprobs })
}

export function writeRefusal(answer: Answer, delta: string): void {
  if (delta === '') return
  const message = openMessage(answer)
  const last = message.parts.at(-1)
  const part = last?.kind === 'refusal' ? last : addPart(answer, message, { kind: 'refusal', pieces: [] })
  part.pieces.push(delta)
  push(answer, { type: 'response.refusal.delta', ...inLastPart(message), delta })
}

/** A citation in the text that was written last; without text there is nothing that it could stand in. */
export function writeCitation(answer: Answer, annotation: UrlCitation): void {
  const message = answer.speech
  if (message?.kind !== 'message') return
  const part = message.parts.at(-1)
  if (part?.kind !== 'text') return
  part.annotations.push(annotation)
  push(answer, {
    type: 'response.output_text.annotation.added',
    ...inLastPart(message),
    annotation_index: part.annotations.length - 1,
    annotation,
  })
}

/** The message that is being written, or a new one. */
function openMessage(answer: Answer): MessageInProgress {
  if (answer.speech?.kind === 'message') return answer.speech
  closeSpeech(answer, 'completed')
  const message = add<MessageInProgress>(answer, { kind: 'message', ...newItem(answer, 'msg'), parts: [] })
  answer.speech = message
  return message
}

function addPart<Part extends TextPart | RefusalPart>(
  answer: Answer,
  message: MessageInProgress,
  part: Part,
): Part {
  const last = message.parts.at(-1)
  if (last !== undefined) closePart(answer, message, last)
  message.parts.push(part)
  push(answer, { type: 'response.content_part.added', ...inLastPart(message), part: contentPart(part) })
  return part
}

function closePart(answer: Answer, message: MessageInProgress, part: TextPart | RefusalPart): void {
  const place = inLastPart(message)
  const text = joined(part.pieces)
  push(
    answer,
    part.kind === 'text'
      ? { type: 'response.output_text.done', ...place, text, logprobs: part.logprobs }
      : { type: 'response.refusal.done', ...place, refusal: text },
  )
  push(answer, { type: 'response.content_part.done', ...place, part: contentPart(part) })
}

export function writeReasoning(answer: Answer, delta: string): void {
  if (delta === '') return
  if (answer.speech?.kind !== 'reasoning') closeSpeech(answer, 'completed')
  const reasoning = answer.speech?.kind === 'reasoning' ? answer.speech : openReasoning(answer)
  reasoning.pieces.push(delta)
  push(answer, {
    type: 'response.reasoning_summary_text.delta',
    ...inItem(reasoning),
    summary_index: 0,
    delta,
  })
}

function openReasoning(answer: Answer): ReasoningInProgress {
  const reasoning = add<ReasoningInProgress>(answer, {
    kind: 'reasoning',
    ...newItem(answer, 'rs'),
    pieces: [],
  })
  answer.speech = reasoning
  push(answer, {
    type: 'response.reasoning_summary_part.added',
    ...inItem(reasoning),
    summary_index: 0,
    part: { type: 'summary_text', text: '' },
  })
  return reasoning
}

/** Ends the open message or reasoning item; without one it does nothing. */
export function closeSpeech(answer: Answer, status: ItemStatus): void {
  const item = answer.speech
  if (item === undefined) return
  answer.speech = undefined
  item.status = status
  if (item.kind === 'message') {
    const last = item.parts.at(-1)
    if (last !== undefined) closePart(answer, item, last)
  } else {
    const text = joined(item.pieces)
    const place = { ...inItem(item), summary_index: 0 }
    push(answer, { type: 'response.reasoning_summary_text.done', ...place, text })
    push(answer, {
      type: 'response.reasoning_summary_part.done',
      ...place,
      part: { type: 'summary_text', text },
    })
  }
  done(answer, item)
}

/** `callId` is the provider's; ids that are missing or were used before are replaced. */
export function openCall(answer: Answer, callId: string, name: string): CallInProgress {
  closeSpeech(answer, 'completed')
  const customName = customNameOf(name)
  const item = newItem(answer, customName === undefined ? 'fc' : 'ctc')
  const isUsable = callId !== '' && !answer.callIds.has(callId)
  const call = add<CallInProgress>(answer, {
    kind: 'call',
    ...item,
    callId: isUsable ? callId : `call_${answer.seed}_${item.outputIndex}`,
    name: customName ?? name,
    isCustom: customName !== undefined,
    pieces: [],
  })
  answer.callIds.add(call.callId)
  return call
}

/** The input of a custom call is inside the JSON, so it can only be shown when the call is closed. */
export function writeArguments(answer: Answer, call: CallInProgress, delta: string): void {
  if (delta === '' || call.status !== 'in_progress') return
  call.pieces.push(delta)
  if (!call.isCustom) {
    push(answer, { type: 'response.function_call_arguments.delta', ...inItem(call), delta })
  }
}

export function closeCall(answer: Answer, call: CallInProgress, status: ItemStatus): void {
  if (call.status !== 'in_progress') return
  if (call.isCustom) {
    closeCustomCall(answer, call, status)
    return
  }
  // Providers send nothing for a function without parameters; clients parse what they get.
  if (call.pieces.length === 0 && status === 'completed') writeArguments(answer, call, '{}')
  call.status = status
  push(answer, {
    type: 'response.function_call_arguments.done',
    ...inItem(call),
    arguments: joined(call.pieces),
  })
  done(answer, call)
}

function closeCustomCall(answer: Answer, call: CallInProgress, status: ItemStatus): void {
  const text = joined(call.pieces)
  const input = customInput(text)
  call.status = status
  // A call that was cut off in the middle is shown in the response, but never announced as done: a client would
  // run it.
  if (input === undefined && status === 'incomplete') return
  // A model that forgot the JSON wrote its input as it is.
  call.pieces.splice(0, call.pieces.length, input ?? text)
  call.status = 'completed'
  push(answer, {
    type: 'response.custom_tool_call_input.delta',
    ...inItem(call),
    delta: input ?? text,
  })
  push(answer, { type: 'response.custom_tool_call_input.done', ...inItem(call), input: input ?? text })
  done(answer, call)
}

function done(answer: Answer, item: ItemInProgress): void {
  push(answer, { type: 'response.output_item.done', output_index: item.outputIndex, item: outputItem(item) })
}

/** Closes what is open and ends the answer: whole, or cut short for `reason`. */
export function finish(answer: Answer, reason: IncompleteReason | undefined): void {
  begin(answer)
  const status = reason === undefined ? 'completed' : 'incomplete'
  closeSpeech(answer, status)
  // What was cut short is what was written last.
  const last = answer.items.at(-1)
  for (const item of answer.items) {
    if (item.kind === 'call') closeCall(answer, item, item === last ? status : 'completed')
  }
  answer.status = status
  answer.incompleteReason = reason
  push(answer, { type: `response.${status}`, response: responseOf(answer) })
}

/** `body` is an error body of OpenAI's format. */
export function failAnswer(answer: Answer, body: Json): void {
  begin(answer)
  const error = objectOf(body.error)
  const message = textOf(error.message)
  push(answer, { type: 'error', code: textOf(error.code) || 'server_error', message, param: null })
  for (const item of answer.items) if (item.status === 'in_progress') item.status = 'incomplete'
  answer.status = 'failed'
  answer.error = {
    code: error.type === 'rate_limit_error' ? 'rate_limit_exceeded' : 'server_error',
    message,
  }
  push(answer, { type: 'response.failed', response: responseOf(answer) })
}
