/**
 * What a simulated provider is told to do with one request.
 *
 * A script comes from the request's `x-simulate` header (JSON), else from `provider.next()`, else from the
 * provider's defaults; the first that there is counts whole, they are not merged. What a script leaves out is
 * derived from the request.
 */
import { z } from 'zod'

const count = z.int().nonnegative()

const FAULTS = [
  /** Destroys the socket with a TCP reset; after `afterChunks` deltas, else before the head. */
  'reset',
  /** Stops writing and keeps the connection; after `afterChunks` deltas, else after the head (`beforeHead`: before). */
  'stall',
  /** Never answers. */
  'never',
  /** A 200 whose body is not JSON, or an event stream that turns into rubbish after `afterChunks` deltas. */
  'garbage',
  /** Bytes that are not HTTP. */
  'garbage-http',
  /** Unary: `content-length` promises more than comes. Stream: ends cleanly after `afterChunks` deltas (default all). */
  'truncate',
  /** The provider's own error event after `afterChunks` deltas; a unary request is answered with 500. */
  'midstream-error',
  /** The answer is whole but says nothing about tokens. */
  'missing-usage',
  /** The answer is whole but its head is 64 kB. */
  'bigheaders',
  /** The answer is whole but its head comes in eight pieces, `chunkDelayMs` (default 20) apart. */
  'slow-headers',
] as const

export const scriptSchema = z.strictObject({
  text: z.string().optional(),
  /** A text of this many bytes, for sizes that no header can carry. */
  textBytes: count.optional(),
  /** Number of deltas in which the text is streamed; without `text` it also sets the text's length. */
  chunks: z.int().positive().optional(),
  toolCalls: z.array(z.strictObject({ name: z.string(), arguments: z.string() })).optional(),
  /** Each tool call's arguments are a JSON object of this size. */
  argumentBytes: count.optional(),
  /** Visible where the API shows reasoning (thinking blocks, reasoning summaries); counted everywhere. */
  reasoning: z.string().optional(),
  /** Token counts are in normalised terms: input includes the cached parts, output includes reasoning. */
  inputTokens: count.optional(),
  outputTokens: count.optional(),
  cacheReadTokens: count.optional(),
  cacheWriteTokens: count.optional(),
  reasoningTokens: count.optional(),
  /** In the words of the API that is asked. */
  finishReason: z.string().optional(),
  /** Before the head. */
  firstDelayMs: z.number().nonnegative().optional(),
  /** Before each delta, and before the reset of a stream. */
  chunkDelayMs: z.number().nonnegative().optional(),
  /** 400 and above: the provider's own error for that status. */
  status: z.int().min(200).max(599).optional(),
  /** Replaces the error's body; a string is sent as it is. */
  errorBody: z.unknown().optional(),
  retryAfterSeconds: z.number().nonnegative().optional(),
  fault: z.enum(FAULTS).optional(),
  afterChunks: count.optional(),
  beforeHead: z.boolean().optional(),
  /** Writes the event stream in pieces of this many bytes, across characters and line ends. */
  splitBytes: z.int().positive().optional(),
  crlf: z.boolean().optional(),
  comments: z.boolean().optional(),
  /** The last event lacks the blank line that ends it. */
  noFinalBlank: z.boolean().optional(),
  doneVariant: z.enum(['data: [DONE]', 'data:[DONE]', 'none']).optional(),
  /** Chat streams: usage rides on the chunk with the finish reason, as some compatible servers do. */
  usageInFinishChunk: z.boolean().optional(),
  /** `content-encoding: gzip`, whatever the caller accepts. */
  gzip: z.boolean().optional(),
})

export type Script = Readonly<z.input<typeof scriptSchema>>

/** A script as the value of `x-simulate`: HTTP headers carry ASCII only, so other characters are escaped. */
export function scriptHeader(script: Script): string {
  return JSON.stringify(script).replaceAll(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The error's body as the script has it. */
export function scriptedBody({ errorBody }: Script): string | undefined {
  return errorBody === undefined || typeof errorBody === 'string' ? errorBody : JSON.stringify(errorBody)
}
