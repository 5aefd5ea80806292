/**
 * Answers that are made once and sent many times, so that a benchmark measures what is in front of the provider.
 *
 * Requests of one shape (path, model, streaming, usage wanted) get the same bytes, ids included.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Answer } from './answer.ts'
import type { Caller } from './caller.ts'
import type { Delivered } from './deliver.ts'
import type { Script } from './script.ts'

export interface FixedAnswer {
  readonly answer: Answer
  readonly requestId: string
  readonly headers: OutgoingHttpHeaders
  /** Small ones as strings: Node sends those in one piece with the head, which it does not do for bytes. */
  readonly content: string | Buffer
}

export interface FixedAnswers {
  get(path: string, body: string): FixedAnswer | undefined
  set(path: string, body: string, made: Pick<FixedAnswer, 'answer' | 'requestId'>): void
}

/** Bounded: a benchmark has a handful of shapes. */
const MAX_SHAPES = 1000

export function createFixedAnswers(): FixedAnswers {
  const shapes = new Map<string, FixedAnswer>()
  return {
    get: (path, body) => shapes.get(shapeOf(path, body)),
    set(path, body, { answer, requestId }) {
      if (shapes.size >= MAX_SHAPES) shapes.clear()
      const { body: made } = answer
      const key = shapeOf(path, body)
      if (made.kind === 'unary') {
        const headers = { ...answer.headers, 'content-length': Buffer.byteLength(made.text) }
        shapes.set(key, { answer, requestId, headers, content: made.text })
      } else {
        const content = Buffer.from(made.frames.map((frame) => frame.text).join(''))
        shapes.set(key, { answer, requestId, headers: answer.headers, content })
      }
    },
  }
}

/** Read without parsing. */
function shapeOf(path: string, body: string): string {
  const model = /"model"\s*:\s*"([^"]*)"/.exec(body)?.[1]
  return `${path} ${model} ${/"stream"\s*:\s*true/.test(body)} ${/"include_usage"\s*:\s*true/.test(body)}`
}

/** Script fields that change how an answer is written, not what it says. */
const WRITING = [
  'firstDelayMs',
  'chunkDelayMs',
  'fault',
  'splitBytes',
  'gzip',
  'crlf',
  'comments',
  'noFinalBlank',
  'doneVariant',
] as const satisfies readonly (keyof Script)[]

/** Only what is written in one go can be fixed. */
export const canBeFixed = (script: Script) => WRITING.every((field) => script[field] === undefined)

export async function deliverFixed(
  response: ServerResponse,
  caller: Caller,
  { answer, headers, content }: FixedAnswer,
): Promise<Delivered> {
  response.writeHead(answer.status, headers)
  response.end(content)
  await caller.finished()
  const { outputTokens, reasoningTokens } = answer.usage
  return { end: caller.gone ? 'left' : 'whole', outputTokens, reasoningTokens, deltas: 0 }
}
