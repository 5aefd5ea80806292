/**
 * The two chat APIs as the playground speaks them: what is sent, and what of the answers is shown.
 *
 * Any provider may stand behind either, so answers are read loosely: what is not understood is passed over.
 */
import { isObject, parseJson, read, readList, readNumber, readText } from '../format/json.ts'

export type ChatApi = 'completions' | 'messages'

export const CHAT_APIS = [
  {
    id: 'completions',
    label: 'Chat completions',
    spoken: "OpenAI's API: POST /v1/chat/completions",
    path: '/v1/chat/completions',
  },
  { id: 'messages', label: 'Messages', spoken: "Anthropic's API: POST /v1/messages", path: '/v1/messages' },
] as const satisfies readonly { id: ChatApi; label: string; spoken: string; path: string }[]

/** Anthropic's API requires a limit. */
const DEFAULT_MAX_TOKENS = 4096

export interface ChatSettings {
  readonly api: ChatApi
  readonly model: string
  readonly system: string
  readonly temperature: number | undefined
  readonly maxTokens: number | undefined
  readonly isStreamed: boolean
}

export interface ChatTurn {
  readonly role: 'user' | 'assistant'
  readonly text: string
}

export interface TokenCounts {
  readonly input: number | undefined
  readonly output: number | undefined
  readonly cached: number | undefined
}

/** What one piece of an answer, or a whole one, adds. */
export interface ChatPiece {
  readonly text: string
  readonly reasoning: string
  readonly tokens: TokenCounts | undefined
  readonly stopReason: string | undefined
  readonly error: string | undefined
}

export function chatBody(settings: ChatSettings, turns: readonly ChatTurn[]): Record<string, unknown> {
  const messages = turns.map(({ role, text }) => ({ role, content: text }))
  const system = settings.system.trim()
  const common = {
    model: settings.model.trim(),
    ...(settings.temperature !== undefined && { temperature: settings.temperature }),
    ...(settings.isStreamed && { stream: true }),
  }
  if (settings.api === 'messages') {
    return {
      ...common,
      max_tokens: settings.maxTokens ?? DEFAULT_MAX_TOKENS,
      ...(system !== '' && { system }),
      messages,
    }
  }
  return {
    ...common,
    ...(settings.maxTokens !== undefined && { max_completion_tokens: settings.maxTokens }),
    ...(settings.isStreamed && { stream_options: { include_usage: true } }),
    messages: system === '' ? messages : [{ role: 'system', content: system }, ...messages],
  }
}

/** One event of a stream. Undefined for what has nothing to show. */
export function readPiece(api: ChatApi, data: string): ChatPiece | undefined {
  const event = parseJson(data)
  if (!isObject(event)) return undefined
  const error = readError(event)
  if (error !== undefined) return { ...NOTHING, error }
  return api === 'messages' ? messagesPiece(event) : completionsPiece(event)
}

export function readAnswer(api: ChatApi, body: unknown): ChatPiece {
  if (api === 'messages') {
    const parts = readList(body, 'content')
    return {
      text: parts.map((part) => readText(part, 'text') ?? toolUse(part)).join(''),
      reasoning: parts.map((part) => readText(part, 'thinking') ?? '').join(''),
      tokens: anthropicTokens(read(body, 'usage')),
      stopReason: readText(body, 'stop_reason'),
      error: readError(body),
    }
  }
  const message = read(body, 'choices', 0, 'message')
  return {
    text: readText(message, 'content') ?? readText(message, 'refusal') ?? '',
    reasoning: readText(message, 'reasoning_content') ?? '',
    tokens: openAiTokens(read(body, 'usage')),
    stopReason: readText(body, 'choices', 0, 'finish_reason'),
    error: readError(body),
  }
}

const NOTHING: ChatPiece = {
  text: '',
  reasoning: '',
  tokens: undefined,
  stopReason: undefined,
  error: undefined,
}

function completionsPiece(event: unknown): ChatPiece {
  const delta = read(event, 'choices', 0, 'delta')
  return {
    ...NOTHING,
    text: readText(delta, 'content') ?? readText(delta, 'refusal') ?? '',
    reasoning: readText(delta, 'reasoning_content') ?? '',
    tokens: openAiTokens(read(event, 'usage')),
    stopReason: readText(event, 'choices', 0, 'finish_reason'),
  }
}

function messagesPiece(event: unknown): ChatPiece {
  return {
    ...NOTHING,
    text: readText(event, 'delta', 'text') ?? '',
    reasoning: readText(event, 'delta', 'thinking') ?? '',
    tokens: anthropicTokens(read(event, 'usage') ?? read(event, 'message', 'usage')),
    stopReason: readText(event, 'delta', 'stop_reason'),
  }
}

function toolUse(part: unknown): string {
  return readText(part, 'type') === 'tool_use' ? JSON.stringify(part, undefined, 2) : ''
}

function openAiTokens(usage: unknown): TokenCounts | undefined {
  if (!isObject(usage)) return undefined
  return {
    input: readNumber(usage, 'prompt_tokens'),
    output: readNumber(usage, 'completion_tokens'),
    cached: readNumber(usage, 'prompt_tokens_details', 'cached_tokens'),
  }
}

/** Anthropic's `input_tokens` leaves the cached ones out; here, as in OpenTelemetry, they are part of the input. */
function anthropicTokens(usage: unknown): TokenCounts | undefined {
  if (!isObject(usage)) return undefined
  const fresh = readNumber(usage, 'input_tokens')
  const cached = readNumber(usage, 'cache_read_input_tokens')
  const written = readNumber(usage, 'cache_creation_input_tokens')
  return {
    input: fresh === undefined ? undefined : fresh + (cached ?? 0) + (written ?? 0),
    output: readNumber(usage, 'output_tokens'),
    cached,
  }
}

function readError(body: unknown): string | undefined {
  const error = read(body, 'error')
  if (error === undefined || error === null) return undefined
  return readText(error, 'message') ?? (typeof error === 'string' ? error : JSON.stringify(error))
}

/** Later counts win where they say something: Anthropic tells the input first and the output last. */
export function mergeTokens(
  before: TokenCounts | undefined,
  now: TokenCounts | undefined,
): TokenCounts | undefined {
  if (now === undefined) return before
  return {
    input: now.input ?? before?.input,
    output: now.output ?? before?.output,
    cached: now.cached ?? before?.cached,
  }
}
