/**
 * POST /v1/chat/completions as OpenAI answers it.
 * https://platform.openai.com/docs/api-reference/chat
 */
import type { Usage } from '../core/usage.ts'
import type { Answer, Frame } from './answer.ts'
import { chatCompletionId, chatToolCallId, obfuscation } from './ids.ts'
import { type ChatMessage, type ChatRequest, parseChatRequest } from './openai-chat-request.ts'
import { midstreamFailure } from './openai-errors.ts'
import { checkModel, snapshotOf } from './openai-models.ts'
import { type Ask, composeReply, EFFORT_TOKENS, pieces, type Reply } from './reply.ts'
import type { Script } from './script.ts'
import { requestTokens, shareOut } from './tokens.ts'

const FINISH = { stop: 'stop', sequence: 'stop', length: 'length', tools: 'tool_calls' } as const

export function answerChat(body: unknown, script: Script, requestId: string): Answer {
  const request = parseChatRequest(body)
  checkModel(request.model)
  const reply = composeReply(askOf(request), script)
  const choices = request.n ?? 1
  const usage = { ...reply.usage, outputTokens: reply.usage.outputTokens * choices }
  const shared = {
    id: chatCompletionId(),
    created: Math.floor(Date.now() / 1000),
    model: snapshotOf(request.model),
    choices,
    finish: script.finishReason ?? FINISH[reply.finish],
    toolCalls: reply.toolCalls.map((call) => ({ id: chatToolCallId(), ...call })),
  }
  const stream = request.stream === true
  return {
    model: request.model,
    responseModel: shared.model,
    status: 200,
    headers: { 'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json' },
    body: stream
      ? {
          kind: 'stream',
          frames: chatFrames(request, script, reply, shared, usage),
          failure: midstreamFailure(requestId),
        }
      : { kind: 'unary', text: completion(script, reply, shared, usage) },
    usage,
  }
}

interface Shared {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly choices: number
  readonly finish: string
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[]
}

const FINGERPRINT = 'fp_44709d6fcb'

function chatUsage(usage: Usage) {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cacheReadTokens,
      audio_tokens: 0,
      ...(usage.cacheWriteTokens > 0 && { cache_write_tokens: usage.cacheWriteTokens }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

function completion(script: Script, reply: Reply, shared: Shared, usage: Usage): string {
  const calls = shared.toolCalls.map(({ id, ...call }) => ({ id, type: 'function', function: call }))
  const message = {
    role: 'assistant',
    content: reply.text === '' && calls.length > 0 ? null : reply.text,
    ...(calls.length > 0 && { tool_calls: calls }),
    refusal: null,
    annotations: [],
  }
  const body = {
    id: shared.id,
    object: 'chat.completion',
    created: shared.created,
    model: shared.model,
    choices: Array.from({ length: shared.choices }, (_, index) => ({
      index,
      message,
      logprobs: null,
      finish_reason: shared.finish,
    })),
    ...(script.fault !== 'missing-usage' && { usage: chatUsage(usage) }),
    service_tier: 'default',
    system_fingerprint: FINGERPRINT,
  }
  return `${JSON.stringify(body, null, 2)}\n`
}

function chatFrames(
  request: ChatRequest,
  script: Script,
  reply: Reply,
  shared: Shared,
  usage: Usage,
): Frame[] {
  const frames: Frame[] = []
  const withUsage = request.stream_options?.include_usage === true && script.fault !== 'missing-usage'
  const obfuscated = request.stream_options?.include_obfuscation !== false
  const deltas = Array.from({ length: shared.choices }, (_, index) =>
    choiceDeltas(reply, script, shared, index),
  ).flat()
  // Reasoning comes before anything that is shown.
  const { reasoningTokens } = reply.usage
  const hidden = reasoningTokens * shared.choices
  const shares = shareOut(
    usage.outputTokens - hidden,
    deltas.map(({ delta }) => delta.content ?? ''),
  )

  function add(kind: Frame['kind'], choices: unknown[], tokens: number, reasoning: number, total: unknown) {
    const chunk = {
      id: shared.id,
      object: 'chat.completion.chunk',
      created: shared.created,
      model: shared.model,
      service_tier: 'default',
      system_fingerprint: FINGERPRINT,
      choices,
      ...((withUsage || total !== null) && { usage: total }),
      ...(obfuscated && { obfuscation: obfuscation(2 + (frames.length % 13)) }),
    }
    const text = `data: ${JSON.stringify(chunk)}\n\n`
    frames.push({ text, kind, outputTokens: tokens, reasoningTokens: reasoning })
  }

  for (let index = 0; index < shared.choices; index++) {
    const choice = { index, delta: firstDelta(shared), logprobs: null, finish_reason: null }
    add('event', [choice], reasoningTokens, reasoningTokens, null)
  }
  for (const [position, { index, delta }] of deltas.entries()) {
    add('delta', [{ index, delta, logprobs: null, finish_reason: null }], shares[position] ?? 0, 0, null)
  }
  const inFinish = script.usageInFinishChunk === true ? chatUsage(usage) : null
  // With no delta to carry them, the tokens are known when the choice ends.
  const rest = deltas.length === 0 ? usage.outputTokens - hidden : 0
  for (let index = 0; index < shared.choices; index++) {
    const last = index === shared.choices - 1
    const choice = { index, delta: {}, logprobs: null, finish_reason: shared.finish }
    add('event', [choice], last ? rest : 0, 0, last ? inFinish : null)
  }
  if (withUsage && inFinish === null) add('event', [], 0, 0, chatUsage(usage))
  frames.push({ text: 'data: [DONE]\n\n', kind: 'done', outputTokens: 0, reasoningTokens: 0 })
  return frames
}

const startedCall = (call: Shared['toolCalls'][number], index: number) => ({
  index,
  id: call.id,
  type: 'function',
  function: { name: call.name, arguments: '' },
})

/** A single tool call starts in the first chunk, several each in their own. */
function firstDelta({ toolCalls }: Shared) {
  const [call] = toolCalls
  if (call === undefined) return { role: 'assistant', content: '', refusal: null }
  if (toolCalls.length > 1) return { role: 'assistant', content: null }
  return { role: 'assistant', content: null, tool_calls: [startedCall(call, 0)], refusal: null }
}

function choiceDeltas(reply: Reply, script: Script, { toolCalls }: Shared, index: number) {
  const deltas: { index: number; delta: { content?: string; tool_calls?: unknown } }[] = []
  for (const content of pieces(reply.text, script.chunks)) deltas.push({ index, delta: { content } })
  for (const [position, call] of toolCalls.entries()) {
    if (toolCalls.length > 1) deltas.push({ index, delta: { tool_calls: [startedCall(call, position)] } })
    for (const part of pieces(call.arguments, script.chunks)) {
      deltas.push({ index, delta: { tool_calls: [{ index: position, function: { arguments: part } }] } })
    }
  }
  return deltas
}

function askOf(request: ChatRequest): Ask {
  const { tool_choice: choice = 'auto', response_format: format } = request
  const lastUser = request.messages.findLast((message) => message.role === 'user')
  const inputTokens = requestTokens({
    messages: request.messages.map(messageText),
    system: '',
    tools: request.tools,
    attachments: request.messages.reduce((sum, message) => sum + attachments(message), 0),
  })
  return {
    inputTokens,
    cacheReadTokens: cachedTokens(inputTokens, request.prompt_cache_key),
    cacheWriteTokens: 0,
    lastUserText: lastUser === undefined ? '' : messageText(lastUser),
    answersTools: request.messages.at(-1)?.role === 'tool',
    tools: (request.tools ?? []).flatMap((tool) =>
      tool.type === 'function' ? [{ name: tool.function.name, schema: tool.function.parameters }] : [],
    ),
    toolChoice:
      typeof choice === 'string'
        ? choice
        : choice.type === 'function'
          ? { name: choice.function.name }
          : 'auto',
    parallelTools: request.parallel_tool_calls !== false,
    json:
      format?.type === 'json_object'
        ? true
        : format?.type === 'json_schema'
          ? format.json_schema.schema
          : undefined,
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
    stopSequences: [request.stop ?? []].flat(),
    reasoningTokens: EFFORT_TOKENS[request.reasoning_effort ?? 'none'] ?? 0,
  }
}

/** OpenAI caches prompts from 1024 tokens on, in steps of 128; here only for a request that names a cache key. */
export function cachedTokens(inputTokens: number, cacheKey: string | null | undefined): number {
  return cacheKey == null || inputTokens < 1024 ? 0 : Math.floor(inputTokens / 128) * 128
}

function messageText(message: ChatMessage): string {
  const { content } = message
  let text = typeof content === 'string' ? content : ''
  if (Array.isArray(content)) {
    for (const part of content) {
      if (part.type === 'text') text += part.text
      if (part.type === 'refusal') text += part.refusal
    }
  }
  if (message.role === 'assistant') {
    for (const call of message.tool_calls ?? []) {
      text +=
        call.type === 'function'
          ? call.function.name + call.function.arguments
          : call.custom.name + call.custom.input
    }
  }
  return text
}

function attachments({ content }: ChatMessage): number {
  if (!Array.isArray(content)) return 0
  return content.filter((part) => part.type !== 'text' && part.type !== 'refusal').length
}
