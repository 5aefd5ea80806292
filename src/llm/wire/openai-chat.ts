/**
 * OpenAI's chat completions, as the gateway sends it: requests to a provider, answers to a client.
 * https://platform.openai.com/docs/api-reference/chat
 *
 * Only what is sent has a type here, and its sets are closed. What arrives is an open set from outside: it is
 * read value by value (`request-values.ts`, `reply-values.ts`).
 */

export interface ChatTextPart {
  readonly type: 'text'
  readonly text: string
}

export interface ChatImagePart {
  readonly type: 'image_url'
  /** `url` is a data URL or an http(s) URL. */
  readonly image_url: { readonly url: string }
}

export interface ChatFilePart {
  readonly type: 'file'
  /** `file_data` is a data URL. */
  readonly file: { readonly filename: string; readonly file_data: string }
}

export type ChatUserPart = ChatTextPart | ChatImagePart | ChatFilePart

export interface ChatToolCall {
  readonly id: string
  readonly type: 'function'
  /** `arguments` is JSON text. */
  readonly function: { readonly name: string; readonly arguments: string }
}

export interface ChatSystemMessage {
  readonly role: 'system' | 'developer'
  readonly content: string | readonly ChatTextPart[]
}

export interface ChatUserMessage {
  readonly role: 'user'
  readonly content: string | readonly ChatUserPart[]
}

export interface ChatAssistantMessage {
  readonly role: 'assistant'
  /** May be absent only beside `tool_calls`. */
  readonly content?: string | readonly ChatTextPart[]
  readonly tool_calls?: readonly ChatToolCall[]
}

export interface ChatToolMessage {
  readonly role: 'tool'
  readonly tool_call_id: string
  readonly content: string | readonly ChatTextPart[]
}

export type ChatMessage = ChatSystemMessage | ChatUserMessage | ChatAssistantMessage | ChatToolMessage

export interface ChatTool {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string
    /** A JSON schema. */
    readonly parameters?: Readonly<Record<string, unknown>>
  }
}

export type ChatToolChoice =
  | 'auto'
  | 'none'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } }

export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

export interface ChatResponseFormat {
  readonly type: 'json_schema'
  readonly json_schema: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> }
}

export interface ChatRequest {
  /** Absent only where the client named none and the gateway does. */
  readonly model?: string
  readonly messages: readonly ChatMessage[]
  readonly max_completion_tokens?: number
  readonly temperature?: number
  readonly top_p?: number
  readonly stop?: readonly string[]
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage: boolean }
  readonly tools?: readonly ChatTool[]
  readonly tool_choice?: ChatToolChoice
  readonly parallel_tool_calls?: boolean
  readonly reasoning_effort?: ReasoningEffort
  readonly response_format?: ChatResponseFormat
  readonly user?: string
}

export type ChatFinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

export type ChatServiceTier = 'default' | 'priority'

export interface ChatUsage {
  /** Everything that was read: cached and cache-written tokens are part of it. */
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number; readonly cache_write_tokens: number }
  readonly completion_tokens_details: { readonly reasoning_tokens: number }
  /** Anthropic's words for the two details, for clients that look for them. */
  readonly cache_read_input_tokens?: number
  readonly cache_creation_input_tokens?: number
}

export interface ChatCompletion {
  readonly id: string
  readonly object: 'chat.completion'
  readonly created: number
  readonly model: string
  readonly choices: readonly [ChatChoice]
  readonly usage?: ChatUsage
  readonly service_tier?: ChatServiceTier
}

export interface ChatChoice {
  readonly index: 0
  readonly message: {
    readonly role: 'assistant'
    readonly content: string | null
    readonly refusal: null
    /** Not OpenAI's own: what OpenAI-shaped servers call their reasoning. */
    readonly reasoning_content?: string
    readonly tool_calls?: readonly ChatToolCall[]
  }
  readonly logprobs: null
  readonly finish_reason: ChatFinishReason
}

export interface ChatChunk {
  readonly id: string
  readonly object: 'chat.completion.chunk'
  readonly created: number
  readonly model: string
  readonly service_tier?: ChatServiceTier
  readonly choices: readonly ChatChunkChoice[]
  /** Absent unless the client asked for usage; null in every chunk but the last. */
  readonly usage?: ChatUsage | null
}

export interface ChatChunkChoice {
  readonly index: 0
  readonly delta: ChatDelta
  readonly logprobs: null
  readonly finish_reason: ChatFinishReason | null
}

export interface ChatDelta {
  readonly role?: 'assistant'
  readonly content?: string
  readonly reasoning_content?: string
  readonly tool_calls?: readonly [ChatToolCallDelta]
}

export interface ChatToolCallDelta {
  /** Counts tool calls, not content blocks. */
  readonly index: number
  readonly id?: string
  readonly type?: 'function'
  readonly function: { readonly name?: string; readonly arguments: string }
}
