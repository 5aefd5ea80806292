/** The events of one stream of each provider, as they came, shortened. `[DONE]` is the end marker's data. */

const chatChunk = (choices: readonly unknown[], usage: unknown = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1760000000,
  model: 'gpt-4o-mini-2024-07-18',
  service_tier: 'default',
  system_fingerprint: 'fp_1',
  choices,
  usage,
})
const choice = (delta: object, finish_reason: string | null = null) => ({
  index: 0,
  delta,
  logprobs: null,
  finish_reason,
})

/** With `stream_options.include_usage`: the last chunk has usage, and no choice. */
export const CHAT_STREAM: readonly unknown[] = [
  chatChunk([choice({ role: 'assistant', content: '', refusal: null })]),
  chatChunk([choice({ content: 'Hello' })]),
  chatChunk([choice({ content: '!' })]),
  chatChunk([choice({}, 'stop')]),
  chatChunk([], {
    prompt_tokens: 9,
    completion_tokens: 3,
    total_tokens: 12,
    prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 1, audio_tokens: 0 },
  }),
  '[DONE]',
]

export const ANTHROPIC_STREAM: readonly unknown[] = [
  {
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-20250514',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: 472,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 10,
        output_tokens: 3,
      },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'ping' },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Let me think' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'EqQB' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Okay' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'content_block_start',
    index: 2,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: {} },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '' } },
  {
    type: 'content_block_delta',
    index: 2,
    delta: { type: 'input_json_delta', partial_json: '{"location":' },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '"Paris"}' } },
  { type: 'content_block_stop', index: 2 },
  {
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 89 },
  },
  { type: 'message_stop' },
]

const response = (status: string, usage: unknown = null) => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1760000000,
  status,
  error: null,
  model: 'gpt-4o-mini-2024-07-18',
  output: [],
  usage,
})

export const RESPONSES_STREAM: readonly unknown[] = [
  { type: 'response.created', sequence_number: 0, response: response('in_progress') },
  { type: 'response.in_progress', sequence_number: 1, response: response('in_progress') },
  {
    type: 'response.output_item.added',
    sequence_number: 2,
    output_index: 0,
    item: { id: 'i', type: 'message' },
  },
  { type: 'response.content_part.added', sequence_number: 3, part: { type: 'output_text', text: '' } },
  { type: 'response.output_text.delta', sequence_number: 4, item_id: 'i', delta: 'Hi' },
  { type: 'response.output_text.delta', sequence_number: 5, item_id: 'i', delta: ' there!' },
  { type: 'response.output_text.done', sequence_number: 6, item_id: 'i', text: 'Hi there!' },
  { type: 'response.function_call_arguments.delta', sequence_number: 7, item_id: 'f', delta: '{"a":1}' },
  {
    type: 'response.completed',
    sequence_number: 8,
    response: response('completed', {
      input_tokens: 37,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 11,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 48,
    }),
  },
]

/** As bytes, with `lineEnd`; Anthropic and OpenAI's responses name their events. */
export function bytesOf(events: readonly unknown[], lineEnd = '\n'): Buffer {
  const frames = events.map((event) => {
    const named = typeof event === 'object' && event !== null && 'type' in event
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    return `${named ? `event: ${event.type}${lineEnd}` : ''}data: ${data}${lineEnd}${lineEnd}`
  })
  return Buffer.from(frames.join(''))
}
