/**
 * The responses request as OpenAI accepts it; anything else is refused in OpenAI's words.
 * https://platform.openai.com/docs/api-reference/responses/create
 */
import { z } from 'zod'
import { functionName, metadata, reasoningEffort, serviceTier } from './openai-chat-request.ts'
import { badRequest, missingParameter, schemaRefusal } from './openai-errors.ts'

const status = z.enum(['in_progress', 'completed', 'incomplete']).nullish()

const part = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('input_text'), text: z.string() }),
  z.looseObject({
    type: z.literal('input_image'),
    detail: z.enum(['auto', 'low', 'high', 'original']).nullish(),
  }),
  z.looseObject({ type: z.literal('output_text'), text: z.string() }),
  z.looseObject({ type: z.literal('refusal'), refusal: z.string() }),
  z.looseObject({ type: z.literal('input_file') }),
])

const message = z.strictObject({
  type: z.literal('message').optional(),
  role: z.enum(['assistant', 'system', 'developer', 'user']),
  content: z.union([z.string(), z.array(part)]),
  id: z.string().optional(),
  status,
  phase: z.enum(['commentary', 'final_answer']).nullish(),
})
const functionCall = z.strictObject({
  type: z.literal('function_call'),
  call_id: z.string().min(1).max(64),
  name: functionName,
  arguments: z.string(),
  id: z.string().regex(/^fc/).optional(),
  status,
  namespace: z.string().optional(),
})
const functionCallOutput = z.strictObject({
  type: z.literal('function_call_output'),
  call_id: z.string().min(1).max(64),
  output: z.union([z.string(), z.array(part)]),
  id: z.string().nullish(),
  status,
})
const reasoningItem = z.strictObject({
  type: z.literal('reasoning'),
  id: z.string().optional(),
  summary: z.array(z.strictObject({ type: z.literal('summary_text'), text: z.string() })),
  content: z.array(z.looseObject({ type: z.literal('reasoning_text'), text: z.string() })).nullish(),
  encrypted_content: z.string().nullish(),
  status,
})
/** Items that this simulation takes without looking inside. */
const OTHER = [
  'item_reference',
  'file_search_call',
  'computer_call',
  'computer_call_output',
  'web_search_call',
  'image_generation_call',
  'code_interpreter_call',
  'custom_tool_call',
  'custom_tool_call_output',
  'mcp_call',
  'mcp_list_tools',
  'compaction',
] as const
const other = z.looseObject({ type: z.enum(OTHER) })
const typedItem = z.discriminatedUnion('type', [
  functionCall,
  functionCallOutput,
  reasoningItem,
  other,
  message.required({ type: true }),
])
const item = z.union([message, typedItem])

const functionTool = z.strictObject({
  type: z.literal('function'),
  name: functionName,
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
})
const hostedTool = z.looseObject({
  type: z.enum([
    'web_search',
    'web_search_preview',
    'file_search',
    'code_interpreter',
    'mcp',
    'image_generation',
    'custom',
    'local_shell',
    'shell',
    'apply_patch',
  ]),
})
const tool = z.discriminatedUnion('type', [functionTool, hostedTool])

const format = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: functionName,
    schema: z.record(z.string(), z.unknown()),
    description: z.string().optional(),
    strict: z.boolean().nullish(),
  }),
])

const loose = z.looseObject({})
const responsesRequest = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(item)]).optional(),
  access_programs: loose.optional(),
  background: z.boolean().nullish(),
  context_management: z.array(loose).nullish(),
  conversation: z.union([z.string(), loose]).nullish(),
  image: loose.optional(),
  include: z.array(z.string()).nullish(),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().min(16).nullish(),
  max_tool_calls: z.int().nullish(),
  metadata: metadata.nullish(),
  moderation: loose.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  previous_response_id: z
    .string()
    .regex(/^resp_/)
    .nullish(),
  prompt: loose.nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_options: loose.optional(),
  prompt_cache_retention: z.enum(['in_memory', '24h']).nullish(),
  reasoning: z
    .strictObject({
      effort: reasoningEffort.nullish(),
      summary: z.enum(['auto', 'concise', 'detailed']).nullish(),
      generate_summary: z.enum(['auto', 'concise', 'detailed']).nullish(),
      context: z.string().nullish(),
    })
    .nullish(),
  safety_identifier: z.string().nullish(),
  service_tier: serviceTier.nullish(),
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean().optional() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  text: z
    .strictObject({ format: format.optional(), verbosity: z.enum(['low', 'medium', 'high']).nullish() })
    .optional(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('function'), name: z.string() }),
        z.looseObject({
          type: z.enum([
            'allowed_tools',
            'custom',
            'mcp',
            'file_search',
            'web_search_preview',
            'code_interpreter',
            'image_generation',
          ]),
        }),
      ]),
    ])
    .optional(),
  tools: z.array(tool).optional(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  user: z.string().optional(),
})

export type ResponsesRequest = z.output<typeof responsesRequest>
export type InputItem = Exclude<ResponsesRequest['input'], string | undefined>[number]

export function parseResponsesRequest(body: unknown): ResponsesRequest {
  const parsed = responsesRequest.safeParse(body, { reportInput: true })
  if (!parsed.success) throw schemaRefusal(parsed.error, body, 'parameter')
  const request = parsed.data
  if (request.input === undefined && request.prompt == null && request.conversation == null) {
    throw missingParameter('input')
  }
  if (request.stream_options != null && request.stream !== true) {
    throw badRequest(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    )
  }
  if (request.previous_response_id != null && request.conversation != null) {
    throw badRequest(
      "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.",
      null,
      'mutually_exclusive_parameters',
    )
  }
  checkParts(itemsOf(request))
  // With a conversation on the provider's side the other half of a call may lie there.
  if (request.previous_response_id == null && request.conversation == null) checkCalls(itemsOf(request))
  checkToolChoice(request)
  return request
}

export const itemsOf = ({ input = [] }: ResponsesRequest): readonly InputItem[] =>
  typeof input === 'string' ? [{ role: 'user', content: input }] : input

const OUTPUT = new Set(['output_text', 'refusal'])

/** What the assistant said is output, what anyone else said is input. */
function checkParts(items: readonly InputItem[]) {
  for (const [index, item] of items.entries()) {
    if (!('role' in item) || typeof item.content === 'string' || !Array.isArray(item.content)) continue
    const isOutput = item.role === 'assistant'
    for (const [at, part] of item.content.entries()) {
      if (OUTPUT.has(part.type) === isOutput) continue
      const supported = isOutput
        ? "'output_text' and 'refusal'"
        : "'input_text', 'input_image', and 'input_file'"
      throw badRequest(
        `Invalid value: '${part.type}'. Supported values are: ${supported}.`,
        `input[${index}].content[${at}]`,
        'invalid_value',
      )
    }
  }
}

function checkCalls(items: readonly InputItem[]) {
  const called = new Set<string>()
  const answered = new Set<string>()
  for (const item of items) {
    if (isCall(item)) called.add(item.call_id)
    if (!isCallOutput(item)) continue
    if (!called.has(item.call_id)) {
      throw badRequest(`No tool call found for function call output with call_id ${item.call_id}.`, 'input')
    }
    answered.add(item.call_id)
  }
  for (const id of called) {
    if (!answered.has(id)) throw badRequest(`No tool output found for function call ${id}.`, 'input')
  }
}

export const isCall = (item: InputItem): item is z.output<typeof functionCall> =>
  'type' in item && item.type === 'function_call'

export const isCallOutput = (item: InputItem): item is z.output<typeof functionCallOutput> =>
  'type' in item && item.type === 'function_call_output'

function checkToolChoice({ tool_choice: choice, tools = [] }: ResponsesRequest) {
  if (choice === 'required' && tools.length === 0) {
    throw badRequest("Tool choice 'required' must be specified with 'tools' parameter.", 'tool_choice')
  }
  if (typeof choice !== 'object' || choice.type !== 'function') return
  if (tools.some((tool) => tool.type === 'function' && tool.name === choice.name)) return
  throw badRequest(`Tool choice 'function' not found in 'tools' parameter.`, 'tool_choice')
}
