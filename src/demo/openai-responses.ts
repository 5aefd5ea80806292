/**
 * POST /v1/responses as OpenAI answers it, with the whole sequence of its streamed events.
 * https://platform.openai.com/docs/api-reference/responses-streaming
 *
 * A stream of this API has no `[DONE]`: it ends with `response.completed`, `.incomplete` or `.failed`.
 */
import type { Usage } from '../core/usage.ts'
import type { Answer, Frame } from './answer.ts'
import { obfuscation, responsesId } from './ids.ts'
import { checkModel, snapshotOf } from './openai-models.ts'
import { askOf } from './openai-responses-ask.ts'
import { begun, type Item, itemsFor, summaryPart, textPart, whole } from './openai-responses-items.ts'
import { parseResponsesRequest, type ResponsesRequest } from './openai-responses-request.ts'
import { composeReply, pieces, type Reply } from './reply.ts'
import type { Script } from './script.ts'
import { shareOut, spread } from './tokens.ts'

export function answerResponses(body: unknown, script: Script): Answer {
  const request = parseResponsesRequest(body)
  checkModel(request.model)
  const reply = composeReply(askOf(request), script)
  const base = envelope(request)
  const items = itemsFor(reply, request)
  const stream = request.stream === true
  return {
    model: request.model,
    responseModel: base.model,
    status: 200,
    headers: { 'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json' },
    body: stream
      ? { kind: 'stream', ...streamOf({ request, reply, script, base, items }) }
      : { kind: 'unary', text: `${JSON.stringify(finished(base, reply, items, script), null, 2)}\n` },
    usage: reply.usage,
  }
}

type Envelope = ReturnType<typeof envelope>

/** The response before anything has been generated. */
function envelope(request: ResponsesRequest) {
  return {
    id: responsesId('resp'),
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: 'in_progress',
    background: request.background ?? false,
    completed_at: null,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    model: snapshotOf(request.model),
    output: [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    prompt_cache_retention: request.prompt_cache_retention ?? null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: request.reasoning?.summary ?? null },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: request.stream === true ? 'auto' : 'default',
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: {
      format: request.text?.format ?? { type: 'text' },
      verbosity: request.text?.verbosity ?? 'medium',
    },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_logprobs: request.top_logprobs ?? 0,
    top_p: request.top_p ?? 1,
    truncation: request.truncation ?? 'disabled',
    usage: null,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
  }
}

function responsesUsage(usage: Usage) {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: {
      cache_write_tokens: usage.cacheWriteTokens,
      cached_tokens: usage.cacheReadTokens,
    },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  }
}

/** `finishReason` is this API's status: `completed`, `incomplete`, `failed`. */
function finished(base: Envelope, reply: Reply, items: readonly Item[], script: Script) {
  const status = script.finishReason ?? (reply.finish === 'length' ? 'incomplete' : 'completed')
  return {
    ...base,
    status,
    completed_at: status === 'completed' ? Math.floor(Date.now() / 1000) : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output: items.map((item) => whole(item)),
    service_tier: 'default',
    usage: script.fault === 'missing-usage' ? null : responsesUsage(reply.usage),
  }
}

interface Streaming {
  readonly request: ResponsesRequest
  readonly reply: Reply
  readonly script: Script
  readonly base: Envelope
  readonly items: readonly Item[]
}

/** The type is also the event's name. */
type WireEvent = Readonly<Record<string, unknown>> & { readonly type: string }

/** One event; a delta that says what it carries. */
interface Step {
  readonly event: WireEvent
  readonly carries: 'nothing' | 'reasoning' | 'output'
}

function streamOf(streaming: Streaming): { frames: Frame[]; failure: string } {
  const { request, reply, script, base, items } = streaming
  const steps = items.flatMap((item, index) => stepsOf(item, index, script))
  const final = finished(base, reply, items, script)
  const obfuscated = request.stream_options?.include_obfuscation !== false
  const frames: Frame[] = []
  const costs = stepCosts(steps, reply.usage)

  function add(kind: Frame['kind'], { type, ...rest }: Step['event'], outputTokens = 0, reasoningTokens = 0) {
    const event = {
      type,
      sequence_number: frames.length,
      ...rest,
      ...(kind === 'delta' && obfuscated && { obfuscation: obfuscation(2 + (frames.length % 13)) }),
    }
    frames.push({ text: sse(event), kind, outputTokens, reasoningTokens })
  }

  add('event', { type: 'response.created', response: base })
  add('event', { type: 'response.in_progress', response: base })
  for (const [index, step] of steps.entries()) {
    const cost = costs[index] ?? { output: 0, reasoning: 0 }
    add(step.carries === 'nothing' ? 'event' : 'delta', step.event, cost.output, cost.reasoning)
  }
  // What no delta carried is known at the end: an answer without content.
  const left = reply.usage.outputTokens - costs.reduce((sum, cost) => sum + cost.output, 0)
  const ending = final.status === 'incomplete' || final.status === 'failed' ? final.status : 'completed'
  add('event', { type: `response.${ending}`, response: final }, left)
  return { frames, failure: failureOf(base, frames.length) }
}

const sse = (event: WireEvent) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

function failureOf(base: Envelope, sequence: number): string {
  const message = 'The server had an error while processing your request. Sorry about that!'
  const failed = { ...base, status: 'failed', error: { code: 'server_error', message } }
  return (
    sse({ type: 'error', sequence_number: sequence, code: 'server_error', message, param: null }) +
    sse({ type: 'response.failed', sequence_number: sequence + 1, response: failed })
  )
}

function stepsOf(item: Item, output_index: number, script: Script): Step[] {
  const quiet = (type: string, rest: object): Step => ({ event: { type, ...rest }, carries: 'nothing' })
  const steps = [quiet('response.output_item.added', { output_index, item: begun(item) })]
  const at = { item_id: item.id, output_index }
  switch (item.kind) {
    case 'reasoning': {
      if (item.summary === '') break
      const place = { ...at, summary_index: 0 }
      steps.push(quiet('response.reasoning_summary_part.added', { ...place, part: summaryPart('') }))
      for (const delta of pieces(item.summary, script.chunks)) {
        steps.push({
          event: { type: 'response.reasoning_summary_text.delta', ...place, delta },
          carries: 'reasoning',
        })
      }
      steps.push(quiet('response.reasoning_summary_text.done', { ...place, text: item.summary }))
      steps.push(quiet('response.reasoning_summary_part.done', { ...place, part: summaryPart(item.summary) }))
      break
    }
    case 'message': {
      const place = { ...at, content_index: 0 }
      steps.push(quiet('response.content_part.added', { ...place, part: textPart('') }))
      for (const delta of pieces(item.text, script.chunks)) {
        steps.push({
          event: { type: 'response.output_text.delta', ...place, delta, logprobs: [] },
          carries: 'output',
        })
      }
      steps.push(quiet('response.output_text.done', { ...place, text: item.text, logprobs: [] }))
      steps.push(quiet('response.content_part.done', { ...place, part: textPart(item.text) }))
      break
    }
    case 'call':
      for (const delta of pieces(item.json, script.chunks)) {
        steps.push({
          event: { type: 'response.function_call_arguments.delta', ...at, delta },
          carries: 'output',
        })
      }
      steps.push(quiet('response.function_call_arguments.done', { ...at, arguments: item.json }))
      break
    default:
      item satisfies never
  }
  steps.push(quiet('response.output_item.done', { output_index, item: whole(item) }))
  return steps
}

/** Reasoning is paid with its summary; where none is shown, when its item begins. */
function stepCosts(steps: readonly Step[], usage: Usage) {
  const shown = steps.filter((step) => step.carries === 'reasoning').length
  const thought = spread(usage.reasoningTokens, Math.max(shown, 1))
  const outputs = steps.filter((step) => step.carries === 'output')
  const isText = ({ event }: Step) => event.type === 'response.output_text.delta'
  const said = shareOut(
    usage.outputTokens - usage.reasoningTokens,
    outputs.map((step) => (isText(step) ? String(step.event.delta) : '')),
  )
  let thoughts = 0
  let sayings = 0
  return steps.map((step, index) => {
    const thinks = shown > 0 ? step.carries === 'reasoning' : index === 0
    const reasoning = thinks ? (thought[thoughts++] ?? 0) : 0
    return { output: reasoning + (step.carries === 'output' ? (said[sayings++] ?? 0) : 0), reasoning }
  })
}
