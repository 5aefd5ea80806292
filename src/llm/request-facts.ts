/** What a request says about itself, for spans and estimates; read defensively, for clients send anything. */
import type { LlmParameters, WireFormat } from '../core/exchange.ts'

type Body = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Body =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
const string = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** Every parameter that a span shows. */
export function parametersOf(body: Body): LlmParameters {
  const stop = body.stop ?? body.stop_sequences
  const reasoning = isObject(body.reasoning) ? body.reasoning.effort : body.reasoning_effort
  return {
    temperature: number(body.temperature),
    topP: number(body.top_p),
    topK: number(body.top_k),
    maxTokens: number(body.max_completion_tokens ?? body.max_tokens ?? body.max_output_tokens),
    frequencyPenalty: number(body.frequency_penalty),
    presencePenalty: number(body.presence_penalty),
    seed: number(body.seed),
    choiceCount: number(body.n),
    stopSequences:
      stop === undefined || stop === null
        ? undefined
        : [stop].flat().filter((one) => typeof one === 'string'),
    reasoningLevel: string(reasoning),
    encodingFormat: string(body.encoding_format),
    dimensions: number(body.dimensions),
  }
}

const MAX_USER = 256

/** Whom the client asks for, as the APIs have it: OpenAI's `user` and `safety_identifier`, Anthropic's `metadata.user_id`. */
export function endUserOf(body: Body): string | undefined {
  const metadata = isObject(body.metadata) ? body.metadata : {}
  const user = string(body.user) ?? string(body.safety_identifier) ?? string(metadata.user_id)
  return user === undefined || user === '' ? undefined : user.slice(0, MAX_USER)
}

/** What OpenAI's counting adds: three tokens a message, three for the answer's start. */
const PER_MESSAGE = 3
const FOR_ANSWER = 3

/** Keys whose strings are no text for the model. */
const NOT_TEXT = new Set([
  'url',
  'data',
  'file_data',
  'media_type',
  'id',
  'tool_use_id',
  'tool_call_id',
  'call_id',
  'type',
  'image_url',
  'cache_control',
  'signature',
  'encrypted_content',
])

/** In an answer neither are these: its frame, and words that stand elsewhere already. */
const NOT_OUTPUT = new Set([...NOT_TEXT, 'role', 'status', 'finish_reason', 'annotations', 'logprobs'])

/** Without recursion: a client may nest deeper than the stack is. */
function collect(value: unknown, into: string[], skip: ReadonlySet<string> = NOT_TEXT): void {
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next === 'string') into.push(next)
    else if (Array.isArray(next))
      for (let index = next.length - 1; index >= 0; index--) open.push(next[index])
    else if (isObject(next)) {
      for (const key of Object.keys(next).reverse()) if (!skip.has(key)) open.push(next[key])
    }
  }
}

/** Empty for what is nested deeper than it can be written. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return ''
  }
}

/** The texts whose tokens make up the input, and the fixed number that framing adds. */
export function inputTexts(
  format: WireFormat,
  body: Body,
): { readonly texts: readonly string[]; readonly extraTokens: number } {
  const texts: string[] = []
  const turns = format === 'responses' ? body.input : format === 'embeddings' ? undefined : body.messages
  for (const part of [
    body.system,
    body.instructions,
    turns,
    format === 'embeddings' ? body.input : undefined,
  ])
    collect(part, texts)
  if (body.tools !== undefined) texts.push(jsonOf(body.tools))
  const messages = Array.isArray(turns) ? turns.length : turns === undefined ? 0 : 1
  return { texts, extraTokens: format === 'embeddings' ? 0 : messages * PER_MESSAGE + FOR_ANSWER }
}

/** The texts that a whole answer is made of, whatever its format. */
export function outputText(answer: unknown): string {
  const texts: string[] = []
  if (isObject(answer))
    for (const part of [answer.choices, answer.content, answer.output]) collect(part, texts, NOT_OUTPUT)
  return texts.join('')
}
