/**
 * OpenAI's Responses API on the wire: what we write, as a client of it and as its server.
 * https://platform.openai.com/docs/api-reference/responses
 *
 * What we read is never trusted to have these shapes. Every event of a stream carries a `sequence_number` that
 * counts from 0 without a gap, and its SSE `event:` line repeats its `type`.
 */

type ResponsesRole = 'user' | 'assistant' | 'system' | 'developer'
export type ResponsesEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

// Requests

interface InputText {
  readonly type: 'input_text'
  readonly text: string
}

interface InputImage {
  readonly type: 'input_image'
  /** `https://…` or `data:image/png;base64,…` */
  readonly image_url: string
  readonly detail: 'low' | 'high' | 'auto'
}

interface InputFile {
  readonly type: 'input_file'
  readonly filename?: string
  /** A data URL. */
  readonly file_data?: string
  readonly file_url?: string
}

export type InputContent = InputText | InputImage | InputFile

interface InputMessage {
  readonly type: 'message'
  readonly role: ResponsesRole
  readonly content: string | readonly InputContent[] | readonly InputOutputText[]
}

/** Text that the model wrote in an earlier turn. */
export interface InputOutputText {
  readonly type: 'output_text'
  readonly text: string
}

interface InputFunctionCall {
  readonly type: 'function_call'
  readonly call_id: string
  readonly name: string
  /** JSON. */
  readonly arguments: string
}

interface InputFunctionCallOutput {
  readonly type: 'function_call_output'
  readonly call_id: string
  readonly output: string | readonly InputContent[]
  readonly status?: 'incomplete'
}

export type InputItem = InputMessage | InputFunctionCall | InputFunctionCallOutput

export interface ResponsesFunctionTool {
  readonly type: 'function'
  readonly name: string
  readonly description?: string
  readonly parameters: unknown
  /** The API takes an absent `strict` for true and then refuses optional parameters. */
  readonly strict: boolean
}

export type ResponsesToolChoice =
  | 'auto'
  | 'none'
  | 'required'
  | { readonly type: 'function'; readonly name: string }

type ResponsesTextFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json_schema'; readonly name: string; readonly schema: unknown }

export interface ResponsesRequest {
  readonly model?: string
  readonly input: readonly InputItem[]
  readonly instructions?: string
  readonly max_output_tokens?: number
  readonly temperature?: number
  readonly top_p?: number
  readonly stream?: boolean
  readonly store: false
  readonly tools?: readonly ResponsesFunctionTool[]
  readonly tool_choice?: ResponsesToolChoice
  readonly parallel_tool_calls?: boolean
  readonly reasoning?: { readonly effort?: ResponsesEffort; readonly summary?: 'auto' }
  readonly text?: { readonly format: ResponsesTextFormat }
  readonly service_tier?: 'auto' | 'default'
  readonly user?: string
}

// Responses

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export interface UrlCitation {
  readonly type: 'url_citation'
  readonly url: string
  readonly title: string
  readonly start_index: number
  readonly end_index: number
}

interface OutputText {
  readonly type: 'output_text'
  readonly text: string
  readonly annotations: readonly UrlCitation[]
  /** The same entries as in chat completions. */
  readonly logprobs: readonly unknown[]
}

interface OutputRefusal {
  readonly type: 'refusal'
  readonly refusal: string
}

interface OutputMessage {
  readonly type: 'message'
  readonly id: string
  readonly status: ItemStatus
  readonly role: 'assistant'
  readonly content: readonly (OutputText | OutputRefusal)[]
}

interface OutputFunctionCall {
  readonly type: 'function_call'
  readonly id: string
  readonly status: ItemStatus
  readonly call_id: string
  readonly name: string
  /** JSON. */
  readonly arguments: string
}

interface OutputCustomToolCall {
  readonly type: 'custom_tool_call'
  readonly id: string
  readonly status: ItemStatus
  readonly call_id: string
  readonly name: string
  readonly input: string
}

interface SummaryText {
  readonly type: 'summary_text'
  readonly text: string
}

interface OutputReasoning {
  readonly type: 'reasoning'
  readonly id: string
  readonly status: ItemStatus
  readonly summary: readonly SummaryText[]
}

export type OutputItem = OutputMessage | OutputFunctionCall | OutputCustomToolCall | OutputReasoning

export interface ResponsesUsage {
  /** Cached and cache-written tokens included. */
  readonly input_tokens: number
  readonly input_tokens_details: { readonly cached_tokens: number; readonly cache_write_tokens: number }
  /** Reasoning included. */
  readonly output_tokens: number
  readonly output_tokens_details: { readonly reasoning_tokens: number }
  readonly total_tokens: number
}

export type IncompleteReason = 'max_output_tokens' | 'content_filter'

export interface ResponsesError {
  /** `server_error`, `rate_limit_exceeded`, … */
  readonly code: string
  readonly message: string
}

export interface ResponsesResponse {
  readonly id: string
  readonly object: 'response'
  readonly created_at: number
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  readonly background: false
  readonly error: ResponsesError | null
  readonly incomplete_details: { readonly reason: IncompleteReason } | null
  readonly instructions: null
  readonly max_output_tokens: null
  readonly metadata: Readonly<Record<string, string>>
  readonly model: string
  readonly output: readonly OutputItem[]
  readonly parallel_tool_calls: boolean
  readonly previous_response_id: null
  readonly reasoning: { readonly effort: null; readonly summary: null }
  readonly service_tier: string | null
  readonly store: false
  readonly temperature: null
  readonly text: { readonly format: { readonly type: 'text' } }
  readonly tool_choice: 'auto'
  readonly tools: readonly never[]
  readonly top_p: null
  readonly truncation: 'disabled'
  readonly usage: ResponsesUsage | null
}

// Stream

interface InItem {
  readonly item_id: string
  readonly output_index: number
}
interface InContent extends InItem {
  readonly content_index: number
}
interface InSummary extends InItem {
  readonly summary_index: number
}

/** An event before it got its number. */
export type ResponsesEventBody =
  | {
      readonly type:
        | 'response.created'
        | 'response.in_progress'
        | 'response.completed'
        | 'response.incomplete'
        | 'response.failed'
      readonly response: ResponsesResponse
    }
  | {
      readonly type: 'response.output_item.added' | 'response.output_item.done'
      readonly output_index: number
      readonly item: OutputItem
    }
  | (InContent & {
      readonly type: 'response.content_part.added' | 'response.content_part.done'
      readonly part: OutputText | OutputRefusal
    })
  | (InContent & {
      readonly type: 'response.output_text.delta'
      readonly delta: string
      readonly logprobs: readonly unknown[]
    })
  | (InContent & {
      readonly type: 'response.output_text.done'
      readonly text: string
      readonly logprobs: readonly unknown[]
    })
  | (InContent & {
      readonly type: 'response.output_text.annotation.added'
      readonly annotation_index: number
      readonly annotation: UrlCitation
    })
  | (InContent & { readonly type: 'response.refusal.delta'; readonly delta: string })
  | (InContent & { readonly type: 'response.refusal.done'; readonly refusal: string })
  | (InItem & { readonly type: 'response.function_call_arguments.delta'; readonly delta: string })
  | (InItem & {
      readonly type: 'response.function_call_arguments.done'
      readonly arguments: string
    })
  | (InItem & { readonly type: 'response.custom_tool_call_input.delta'; readonly delta: string })
  | (InItem & { readonly type: 'response.custom_tool_call_input.done'; readonly input: string })
  | (InSummary & {
      readonly type: 'response.reasoning_summary_part.added' | 'response.reasoning_summary_part.done'
      readonly part: SummaryText
    })
  | (InSummary & { readonly type: 'response.reasoning_summary_text.delta'; readonly delta: string })
  | (InSummary & { readonly type: 'response.reasoning_summary_text.done'; readonly text: string })
  | {
      readonly type: 'error'
      readonly code: string | null
      readonly message: string
      readonly param: string | null
    }
