/**
 * The messages request as Anthropic accepts it: the form of each part.
 * https://docs.claude.com/en/api/messages
 */
import { z } from 'zod'

const cache_control = z
  .strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() })
  .nullish()

const text = z.strictObject({
  type: z.literal('text'),
  text: z.string(),
  cache_control,
  citations: z.array(z.unknown()).nullish(),
})
const image = z.strictObject({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('base64'),
      media_type: z.enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
      data: z.string(),
    }),
    z.strictObject({ type: z.literal('url'), url: z.string() }),
    z.strictObject({ type: z.literal('file'), file_id: z.string() }),
  ]),
  cache_control,
  transformations: z.unknown().optional(),
})
const document = z.looseObject({
  type: z.literal('document'),
  source: z.looseObject({ type: z.string() }),
  cache_control,
})
const searchResult = z.looseObject({ type: z.literal('search_result'), cache_control })
const identifier = z.string().regex(/^[a-zA-Z0-9_-]+$/)

const block = z.discriminatedUnion('type', [
  text,
  image,
  document,
  searchResult,
  z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.strictObject({ type: z.literal('redacted_thinking'), data: z.string() }),
  z.strictObject({
    type: z.literal('tool_use'),
    id: identifier,
    name: z.string().min(1).max(200),
    input: z.record(z.string(), z.unknown()),
    cache_control,
    caller: z.unknown().optional(),
    toolset_name: z.unknown().optional(),
  }),
  z.strictObject({
    type: z.literal('tool_result'),
    tool_use_id: identifier,
    content: z
      .union([z.string(), z.array(z.discriminatedUnion('type', [text, image, document, searchResult]))])
      .optional(),
    is_error: z.boolean().optional(),
    cache_control,
    toolset_name: z.unknown().optional(),
  }),
  z.looseObject({ type: z.literal('server_tool_use'), cache_control }),
  z.looseObject({ type: z.literal('web_search_tool_result'), cache_control }),
])

const message = z.strictObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(block)]),
})

const toolName = z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/)
const customTool = z.strictObject({
  type: z.literal('custom').nullish(),
  name: toolName,
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.literal('object') }),
  cache_control,
  strict: z.boolean().optional(),
  allowed_callers: z.array(z.string()).optional(),
  defer_loading: z.boolean().optional(),
  eager_input_streaming: z.boolean().nullish(),
  input_examples: z.array(z.unknown()).optional(),
})
// The provider's own tools carry a dated type (`web_search_20250305`).
const serverTool = z.looseObject({ type: z.string().regex(/_\d{8}$/) })
const tool = z.union([customTool, serverTool])

const disable_parallel_tool_use = z.boolean().optional()
const toolChoice = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auto'), disable_parallel_tool_use }),
  z.strictObject({ type: z.literal('any'), disable_parallel_tool_use }),
  z.strictObject({ type: z.literal('tool'), name: z.string(), disable_parallel_tool_use }),
  z.strictObject({ type: z.literal('none') }),
])
const display = z.enum(['summarized', 'omitted']).nullish()
const thinking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('enabled'), budget_tokens: z.int().min(1024), display }),
  z.strictObject({ type: z.literal('disabled') }),
  z.strictObject({ type: z.literal('adaptive'), display }),
  z.strictObject({ type: z.literal('between_tools') }),
])

const countable = {
  model: z.string().min(1),
  messages: z.array(message),
  system: z.union([z.string(), z.array(text)]).optional(),
  tools: z.array(tool).optional(),
  tool_choice: toolChoice.optional(),
  thinking: thinking.optional(),
  cache_control,
  output_config: z
    .strictObject({
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: z
        .strictObject({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) })
        .nullish(),
    })
    .optional(),
  speed: z.enum(['standard', 'fast']).nullish(),
  user_profile_id: z.string().optional(),
  workspace_id: z.string().optional(),
}

export const messagesRequest = z.strictObject({
  ...countable,
  max_tokens: z.int().min(1),
  container: z.unknown().optional(),
  diagnostics: z.unknown().optional(),
  inference_geo: z.string().nullish(),
  metadata: z.strictObject({ user_id: z.string().max(256).nullish() }).optional(),
  service_tier: z.enum(['auto', 'standard_only']).optional(),
  stop_sequences: z.array(z.string()).optional(),
  stream: z.boolean().optional(),
  temperature: z.number().optional(),
  top_k: z.int().min(0).optional(),
  top_p: z.number().min(0).max(1).optional(),
})
export const countRequest = z.strictObject(countable)

export type MessagesRequest = z.output<typeof messagesRequest>
export type CountRequest = z.output<typeof countRequest>
export type Turn = CountRequest['messages'][number]
export type Block = Exclude<Turn['content'], string>[number]

export const blocksOf = ({ content }: Turn): readonly Block[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : content
