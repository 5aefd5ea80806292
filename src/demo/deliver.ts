/**
 * Writes an answer the way its script says: at which pace, in which pieces, and where it goes wrong.
 *
 * Honours back-pressure: a caller that stops reading stops the writing, and `gauges.waitingForDrain` shows it.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { constants, createGzip, gzipSync } from 'node:zlib'
import type { Answer, Frame } from './answer.ts'
import type { Caller } from './caller.ts'
import { BIG_HEADERS, breakConnection, dribble, GARBAGE, GARBAGE_HTTP } from './faults.ts'
import type { Script } from './script.ts'

/** What is going on right now; whoever changes it calls `changed`. */
export interface Gauges {
  openStreams: number
  waitingForDrain: number
  changed(): void
}

/** What went out. Billing follows it: a cut stream costs what had been generated. */
export interface Delivered {
  /** `broken`: by the script's fault. `left`: the caller closed the connection. */
  readonly end: 'whole' | 'broken' | 'left'
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly deltas: number
}

export interface Delivery {
  readonly response: ServerResponse
  readonly caller: Caller
  readonly answer: Answer
  readonly script: Script
  readonly gauges: Gauges
}

type Stream = Answer['body'] & { readonly kind: 'stream' }

const nothing = (end: Delivered['end']): Delivered => ({
  end,
  outputTokens: 0,
  reasoningTokens: 0,
  deltas: 0,
})

const everything = ({ usage, body }: Answer, end: Delivered['end']): Delivered => ({
  end,
  outputTokens: usage.outputTokens,
  reasoningTokens: usage.reasoningTokens,
  deltas: body.kind === 'unary' ? 0 : countDeltas(body.frames),
})

const countDeltas = (frames: readonly Frame[]) => frames.filter((frame) => frame.kind === 'delta').length

export async function deliver(delivery: Delivery): Promise<Delivered> {
  const { caller, answer, script } = delivery
  if (script.firstDelayMs !== undefined) await caller.pause(script.firstDelayMs)
  if (caller.gone) return nothing('left')
  const failed = await failBeforeHead(delivery)
  if (failed !== undefined) return failed

  const headers: OutgoingHttpHeaders = {
    ...answer.headers,
    ...(script.fault === 'bigheaders' && BIG_HEADERS),
    ...(script.gzip === true && { 'content-encoding': 'gzip' }),
  }
  return answer.body.kind === 'unary'
    ? deliverUnary(delivery, answer.body.text, headers)
    : deliverStream(delivery, answer.body, headers)
}

/** Undefined when the script lets the head through. */
async function failBeforeHead({
  response,
  caller,
  answer,
  script,
}: Delivery): Promise<Delivered | undefined> {
  switch (script.fault) {
    case 'stall':
      if (script.beforeHead !== true) return undefined
      await caller.left()
      return nothing('left')
    case 'never':
      await caller.left()
      return nothing('left')
    case 'reset':
      if ((script.afterChunks ?? 0) > 0) return undefined
      breakConnection(response)
      return nothing('broken')
    case 'garbage-http':
      response.socket?.end(GARBAGE_HTTP)
      return nothing('broken')
    case 'slow-headers':
      await dribble(response, caller, answer, script.chunkDelayMs ?? 20)
      return everything(answer, 'whole')
    default:
      return undefined
  }
}

async function deliverUnary(delivery: Delivery, text: string, head: OutgoingHttpHeaders): Promise<Delivered> {
  const { response, caller, answer, script } = delivery
  const content = script.fault === 'garbage' ? GARBAGE : Buffer.from(text)
  const body = script.gzip === true ? gzipSync(content) : content
  const promised = script.fault === 'truncate' ? body.length + 64 : body.length
  response.writeHead(answer.status, { ...head, 'content-length': promised })

  switch (script.fault) {
    case 'truncate':
      await writeOut(response, body)
      response.socket?.end()
      return everything(answer, 'broken')
    case 'reset':
      await writeOut(response, body.subarray(0, body.length / 2))
      breakConnection(response)
      return everything(answer, 'broken')
    case 'stall':
      response.flushHeaders()
      if ((script.afterChunks ?? 0) > 0) await writeOut(response, body.subarray(0, body.length / 2))
      await caller.left()
      return everything(answer, 'left')
    default:
      if (script.splitBytes === undefined) response.end(body)
      else {
        const out = splitting(response, caller, script.splitBytes)
        await out.write(body)
        await out.end()
      }
      await caller.finished()
      if (caller.gone) return everything(answer, 'left')
      return everything(answer, script.fault === 'garbage' ? 'broken' : 'whole')
  }
}

async function deliverStream(
  delivery: Delivery,
  body: Stream,
  head: OutgoingHttpHeaders,
): Promise<Delivered> {
  const { response, answer, gauges } = delivery
  response.writeHead(answer.status, head)
  gauges.openStreams += 1
  gauges.changed()
  try {
    return await deliverFrames(delivery, body)
  } finally {
    // Nobody is told yet: who waits for this should find the ledger's entry, which comes right after.
    gauges.openStreams -= 1
  }
}

async function deliverFrames(delivery: Delivery, body: Stream): Promise<Delivered> {
  const { caller, script } = delivery
  const cutAfter = deltasBeforeCut(script, body.frames)
  const out = streamSink(delivery)
  const sent = { outputTokens: 0, reasoningTokens: 0, deltas: 0 }

  for (const frame of body.frames) {
    if (sent.deltas >= cutAfter) break
    if (script.chunkDelayMs !== undefined && frame.kind === 'delta') await caller.pause(script.chunkDelayMs)
    if (caller.gone) return { ...sent, end: 'left' }
    const waiting = out.write(dress(frame, script, frame === body.frames.at(-1)))
    if (waiting !== undefined) await waiting
    sent.outputTokens += frame.outputTokens
    sent.reasoningTokens += frame.reasoningTokens
    if (frame.kind === 'delta') sent.deltas += 1
  }
  if (cutAfter !== Infinity) return { ...sent, end: await breakStream(delivery, body.failure, out) }
  await out.end()
  await caller.finished()
  return { ...sent, end: caller.gone ? 'left' : 'whole' }
}

/** Infinity when the script does not cut the stream; a cut after more deltas than there are comes where they end. */
function deltasBeforeCut(script: Script, frames: readonly Frame[]): number {
  switch (script.fault) {
    case 'reset':
    case 'stall':
    case 'garbage':
    case 'midstream-error':
      return Math.min(script.afterChunks ?? 0, countDeltas(frames))
    case 'truncate':
      return Math.min(script.afterChunks ?? Infinity, countDeltas(frames))
    default:
      return Infinity
  }
}

async function breakStream(delivery: Delivery, failure: string, out: Sink): Promise<Delivered['end']> {
  const { response, caller, script } = delivery
  await out.flush()
  switch (script.fault) {
    case 'reset':
      // What was written must have left this process, or the reset would take it along.
      await writeOut(response, Buffer.from(': \n\n'))
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (script.chunkDelayMs !== undefined) await caller.pause(script.chunkDelayMs)
      if (caller.gone) return 'left'
      breakConnection(response)
      return 'broken'
    case 'stall':
      response.flushHeaders()
      await caller.left()
      return 'left'
    case 'garbage':
      await out.write(GARBAGE)
      break
    case 'midstream-error':
      await out.write(Buffer.from(script.crlf === true ? failure.replaceAll('\n', '\r\n') : failure))
      break
    default:
  }
  await out.end()
  await caller.finished()
  return caller.gone ? 'left' : 'broken'
}

function dress(frame: Frame, script: Script, isLast: boolean): Buffer {
  let text = frame.text
  if (frame.kind === 'done') {
    if (script.doneVariant === 'none') return Buffer.alloc(0)
    if (script.doneVariant !== undefined) text = `${script.doneVariant}\n\n`
  }
  if (isLast && script.noFinalBlank === true) text = text.replace(/\n\n$/, '\n')
  if (script.comments === true) text = `: ping\n\n${text}`
  return Buffer.from(script.crlf === true ? text.replaceAll('\n', '\r\n') : text)
}

const writeOut = (target: Writable, bytes: Buffer) =>
  new Promise<void>((resolve) => target.write(bytes, () => resolve()))

interface Sink {
  /** A promise only when there is something to wait for. */
  write(bytes: Buffer): Promise<void> | undefined
  /** Hands over what a splitting sink still holds. */
  flush(): Promise<void>
  end(): Promise<void>
}

function streamSink({ response, caller, script, gauges }: Delivery): Sink {
  let target: Writable = response
  if (script.gzip === true) {
    target = createGzip({ flush: constants.Z_SYNC_FLUSH })
    target.pipe(response)
  }
  if (script.splitBytes !== undefined) return splitting(target, caller, script.splitBytes)
  // The head goes out at once, as with the real providers.
  if (script.chunkDelayMs !== undefined) response.flushHeaders()

  async function drained() {
    gauges.waitingForDrain += 1
    gauges.changed()
    await caller.drained(target)
    gauges.waitingForDrain -= 1
    gauges.changed()
  }

  return {
    write: (bytes) => (bytes.length === 0 || target.write(bytes) ? undefined : drained()),
    flush: async () => {},
    end: async () => {
      target.end()
    },
  }
}

/** Pieces of `size` bytes, each in its own turn of the loop, so that they tend to arrive apart. */
function splitting(target: Writable, caller: Caller, size: number): Sink {
  let held = Buffer.alloc(0)

  async function send(piece: Buffer) {
    if (caller.gone) return
    if (!target.write(piece)) await caller.drained(target)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  async function flush() {
    if (held.length > 0) await send(held)
    held = Buffer.alloc(0)
  }

  return {
    async write(bytes) {
      const all = Buffer.concat([held, bytes])
      let from = 0
      for (; from + size <= all.length; from += size) await send(all.subarray(from, from + size))
      held = all.subarray(from)
    },
    flush,
    async end() {
      await flush()
      target.end()
    },
  }
}
