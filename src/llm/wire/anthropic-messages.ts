/**
 * Anthropic's messages, as the gateway sends it: requests to a provider, answers to a client.
 * https://docs.anthropic.com/en/api/messages
 *
 * Only what is sent has a type here, and its sets are closed. What arrives is an open set from outside: it is
 * read value by value (`request-values.ts`, `reply-values.ts`).
 */

export interface TextBlock {
  readonly type: 'text'
  /** Never empty: the API refuses that. */
  readonly text: string
}

export type ImageSource =
  | { readonly type: 'base64'; readonly media_type: string; readonly data: string }
  | { readonly type: 'url'; readonly url: string }

export interface ImageBlock {
  readonly type: 'image'
  readonly source: ImageSource
}

export interface ThinkingBlock {
  readonly type: 'thinking'
  readonly thinking: string
  /** Empty where the thinking is not Anthropic's own: such a block cannot be sent back to it. */
  readonly signature: string
}

export interface ToolUseBlock {
  readonly type: 'tool_use'
  readonly id: string
  readonly name: string
  /** Always an object. */
  readonly input: Readonly<Record<string, unknown>>
}

export interface ToolResultBlock {
  readonly type: 'tool_result'
  readonly tool_use_id: string
  /** Absent where the tool returned nothing. */
  readonly content?: string | readonly (TextBlock | ImageBlock)[]
}

export type UserBlock = TextBlock | ImageBlock | ToolResultBlock
export type AssistantBlock = TextBlock | ToolUseBlock

export type MessageParam =
  | { readonly role: 'user'; readonly content: readonly UserBlock[] }
  | { readonly role: 'assistant'; readonly content: readonly AssistantBlock[] }

export interface Tool {
  readonly name: string
  readonly description?: string
  /** A JSON schema whose `type` is `object`. */
  readonly input_schema: Readonly<Record<string, unknown>>
}

export type ToolChoice =
  | { readonly type: 'auto' | 'any'; readonly disable_parallel_tool_use?: boolean }
  | { readonly type: 'tool'; readonly name: string; readonly disable_parallel_tool_use?: boolean }
  | { readonly type: 'none' }

export interface MessagesRequest {
  /** Absent only where the client named none and the gateway does. */
  readonly model?: string
  readonly max_tokens: number
  readonly messages: readonly MessageParam[]
  readonly system?: string
  readonly temperature?: number
  readonly top_p?: number
  readonly top_k?: number
  readonly stop_sequences?: readonly string[]
  readonly stream?: true
  readonly tools?: readonly Tool[]
  readonly tool_choice?: ToolChoice
  /** The budget is at least 1024 and less than `max_tokens`. */
  readonly thinking?: { readonly type: 'enabled'; readonly budget_tokens: number }
  readonly output_config?: {
    readonly format: { readonly type: 'json_schema'; readonly schema: Readonly<Record<string, unknown>> }
  }
  readonly metadata?: { readonly user_id: string }
}

export type StopReason = 'end_turn' | 'max_tokens' | 'tool_use' | 'refusal'

export interface MessagesUsage {
  /** Fresh tokens only: the two cache counts stand beside it. */
  readonly input_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
  /** Everything that was written, thinking included. */
  readonly output_tokens: number
  readonly output_tokens_details?: { readonly thinking_tokens: number }
  readonly service_tier?: 'standard' | 'priority'
}

export type ContentBlock = TextBlock | ThinkingBlock | ToolUseBlock

export interface Message {
  readonly id: string
  readonly type: 'message'
  readonly role: 'assistant'
  readonly model: string
  readonly content: readonly ContentBlock[]
  /** Null only in `message_start`. */
  readonly stop_reason: StopReason | null
  readonly stop_sequence: null
  readonly usage: MessagesUsage
}

export type BlockDelta =
  | { readonly type: 'text_delta'; readonly text: string }
  | { readonly type: 'thinking_delta'; readonly thinking: string }
  | { readonly type: 'input_json_delta'; readonly partial_json: string }

export type MessagesStreamEvent =
  | { readonly type: 'message_start'; readonly message: Message }
  | { readonly type: 'content_block_start'; readonly index: number; readonly content_block: ContentBlock }
  | { readonly type: 'content_block_delta'; readonly index: number; readonly delta: BlockDelta }
  | { readonly type: 'content_block_stop'; readonly index: number }
  | {
      readonly type: 'message_delta'
      readonly delta: { readonly stop_reason: StopReason; readonly stop_sequence: null }
      readonly usage: MessagesUsage
    }
  | { readonly type: 'message_stop' }
