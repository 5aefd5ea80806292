/**
 * POST /v1/embeddings as OpenAI answers it: unit vectors that depend on nothing but the text.
 * https://platform.openai.com/docs/api-reference/embeddings
 */
import { z } from 'zod'
import { type Answer, NO_USAGE } from './answer.ts'
import { badRequest, schemaRefusal } from './openai-errors.ts'
import { checkModel } from './openai-models.ts'
import { hash } from './reply.ts'
import type { Script } from './script.ts'
import { textTokens } from './tokens.ts'

const token = z.int().min(0)
const embeddingsRequest = z.strictObject({
  model: z.string(),
  input: z.union([
    z.string(),
    z.array(z.string()).min(1).max(2048),
    z.array(token).min(1).max(2048),
    z.array(z.array(token).min(1)).min(1).max(2048),
  ]),
  dimensions: z.int().min(1).optional(),
  encoding_format: z.enum(['float', 'base64']).optional(),
  user: z.string().optional(),
})

type Input = z.output<typeof embeddingsRequest>['input']

const DIMENSIONS: Readonly<Record<string, number>> = {
  'text-embedding-3-small': 1536,
  'text-embedding-3-large': 3072,
  'text-embedding-ada-002': 1536,
}

export function answerEmbeddings(body: unknown, script: Script): Answer {
  const parsed = embeddingsRequest.safeParse(body, { reportInput: true })
  if (!parsed.success) throw schemaRefusal(parsed.error, body, 'argument')
  const { model, input, dimensions, encoding_format } = parsed.data
  checkModel(model)
  const inputs = inputsOf(input)
  const largest = DIMENSIONS[model] ?? 1536
  if (dimensions !== undefined && dimensions > largest) {
    throw badRequest(
      `Invalid value for 'dimensions' = ${dimensions}. Must be less than or equal to ${largest}.`,
      'dimensions',
    )
  }
  if (dimensions !== undefined && model === 'text-embedding-ada-002') {
    throw badRequest('This model does not support specifying dimensions.')
  }
  const inputTokens = script.inputTokens ?? inputs.reduce((sum, one) => sum + one.tokens, 0)
  const responseModel = model === 'text-embedding-ada-002' ? 'text-embedding-ada-002-v2' : model
  const answer = {
    object: 'list',
    data: inputs.map(({ text }, index) => {
      const vector = vectorOf(text, dimensions ?? largest)
      return {
        object: 'embedding',
        index,
        embedding: encoding_format === 'base64' ? base64(vector) : [...vector],
      }
    }),
    model: responseModel,
    ...(script.fault !== 'missing-usage' && {
      usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
    }),
  }
  return {
    model,
    responseModel,
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { kind: 'unary', text: `${JSON.stringify(answer, null, 2)}\n` },
    usage: { ...NO_USAGE, inputTokens },
  }
}

/** Token ids count as they are; texts by the rule of `tokens.ts`. */
function inputsOf(input: Input): { readonly text: string; readonly tokens: number }[] {
  const all = typeof input === 'string' ? [input] : isTokens(input) ? [input] : input
  return all.map((one) => {
    if (one === '')
      throw badRequest(
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
      )
    return typeof one === 'string'
      ? { text: one, tokens: textTokens(one) }
      : { text: one.join(' '), tokens: one.length }
  })
}

function isTokens(input: Exclude<Input, string>): input is number[] {
  return typeof input[0] === 'number'
}

/** Single precision, as on the real wire. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  let state = hash(text) || 1
  let norm = 0
  for (let index = 0; index < dimensions; index++) {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const value = state / 2 ** 31
    vector[index] = value
    norm += value * value
  }
  const scale = 1 / Math.sqrt(norm)
  return vector.map((value) => value * scale)
}

const base64 = (vector: Float32Array) => Buffer.from(vector.buffer).toString('base64')
