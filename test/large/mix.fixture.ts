/** A mix of faults and of clients, and what it left in metrics and records. */
import { setTimeout as pause } from 'node:timers/promises'
import type { SimulatedProvider } from '../../src/demo/provider.ts'
import type { Script } from '../../src/demo/script.ts'
import type { LogLine } from '../support/command.ts'
import { chatBody } from '../support/configuration.ts'
import { open } from '../support/wire.ts'

const PROSE = 'The harbour was quiet before the storm, and nobody spoke of the letter. '.repeat(4)

/** Before anything of the answer is shown: another attempt can always take its place. */
const FAULTS: readonly Script[] = [
  { status: 429, retryAfterSeconds: 0 },
  { status: 429, retryAfterSeconds: 1 },
  { status: 500 },
  { status: 503 },
  { status: 529 },
  { fault: 'reset' },
  { fault: 'reset', afterChunks: 0, text: PROSE },
  { fault: 'garbage' },
  { fault: 'garbage-http' },
  { fault: 'truncate', afterChunks: 0, text: PROSE },
  { fault: 'midstream-error', afterChunks: 0, text: PROSE },
  { fault: 'never' },
  { fault: 'stall', beforeHead: true, text: PROSE },
]
/** After something of it was shown: the client has to be told. */
const BREAKS: readonly Script[] = [
  { fault: 'reset', afterChunks: 5, chunks: 20, text: PROSE },
  { fault: 'truncate', afterChunks: 5, chunks: 20, text: PROSE },
  { fault: 'midstream-error', afterChunks: 5, chunks: 20, text: PROSE },
]
const FINE: readonly Script[] = [
  {},
  { text: PROSE, chunks: 20, chunkDelayMs: 2 },
  { text: PROSE, splitBytes: 11 },
  { text: PROSE, gzip: true },
  { inputTokens: 1000, outputTokens: 100, cacheReadTokens: 500 },
]

export type Kind = 'whole' | 'stream' | 'slow' | 'leaves'
const KINDS: readonly Kind[] = ['whole', 'stream', 'stream', 'slow', 'leaves']

export interface Asked {
  readonly kind: Kind
  /** Undefined: nobody was there, or the client left before. */
  readonly traceId: string | undefined
  readonly status: number
  readonly isWhole: boolean
}

export function mixOf(random: () => number) {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  return {
    pick,
    /** `breaks`: of so many requests the answer breaks when the client has seen something of it. */
    spoil(provider: SimulatedProvider, breaks = 0): void {
      const dice = random()
      provider.next(pick(dice < breaks ? BREAKS : dice < 0.6 ? FAULTS : FINE))
    },
    async ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Asked> {
      const kind = pick(KINDS)
      const leaving = new AbortController()
      const body = JSON.stringify(chatBody({ stream: kind !== 'whole' }))
      let traceId: string | undefined
      let status = 0
      if (kind === 'leaves') setTimeout(() => leaving.abort(), random() * 60)
      try {
        const response = await open(`${url}/v1/chat/completions`, {
          headers: { 'content-type': 'application/json', connection: 'close', ...headers },
          body,
          signal: leaving.signal,
        })
        traceId = response.headers['x-trace-id']?.toString()
        status = response.statusCode ?? 0
        if (kind === 'slow') {
          response.pause()
          await pause(200)
        }
        let text = ''
        for await (const piece of response.setEncoding('utf8')) text += piece
        const isWhole =
          kind === 'whole'
            ? Array.isArray((JSON.parse(text) as { choices?: unknown }).choices)
            : text.endsWith('data: [DONE]\n\n')
        return { kind, traceId, status, isWhole }
      } catch {
        return { kind, traceId, status, isWhole: false }
      }
    },
  }
}

export function sumOf(text: string, name: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

export const isRecord = (line: LogLine) => line.scope === 'request'
export const count = (line: LogLine, key: string) => Number(line[key] ?? 0)

export const tokensOf = (record: LogLine) =>
  count(record, 'gen_ai.usage.input_tokens') + count(record, 'gen_ai.usage.output_tokens')
