/**
 * Counts tokens beside the event loop: the tokenizer's tables take a fifth of a second and tens of megabytes to
 * load, so they are loaded here, in a worker thread, and only once an estimate is asked for.
 */
import { parentPort } from 'node:worker_threads'
import { countTokens } from '../core/tokenizer.ts'

export interface CountRequest {
  readonly id: number
  readonly texts: readonly string[]
}
export interface CountReply {
  readonly id: number
  readonly counts: readonly number[]
}

parentPort?.on('message', ({ id, texts }: CountRequest) => {
  const counts = texts.map(countTokens)
  parentPort?.postMessage({ id, counts } satisfies CountReply)
})
