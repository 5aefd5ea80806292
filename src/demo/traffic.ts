/**
 * Gentle traffic for the demo, sent to the gateway as its clients would.
 *
 * Deterministic: one seed, one sequence of requests. Each request says what it expected and what its client saw,
 * so that the demo can be checked, not only looked at.
 */
import { Agent, request as send } from 'undici'
import { scriptHeader } from './script.ts'
import { type Ending, MIX, type Planned, WEIGHTS } from './traffic-mix.ts'

export interface TrafficOptions {
  /** Where the gateway listens: `http://127.0.0.1:3000`. */
  readonly gatewayUrl: string
  /** Ends the traffic; requests under way are ended too. */
  readonly signal?: AbortSignal
  /** The whole mix once, one request after the other; else on and on until the signal. */
  readonly once?: boolean
  /** Requests per second of endless traffic, on average. Default 2. */
  readonly rate?: number
  /** Default 1. */
  readonly seed?: number
  /** Sent with every request: a gateway's own API key, for example. They win over the mix's. */
  readonly headers?: Readonly<Record<string, string>>
  readonly onSent?: (sent: Sent) => void
}

/** One request and what became of it, as its client saw it. */
export interface Sent {
  readonly planned: Planned
  /** 0 when no head came. */
  readonly status: number
  readonly ending: Ending
  /** The ending and the status are those that were planned. */
  readonly asExpected: boolean
  readonly traceId: string
  readonly body: string
  readonly durationMs: number
  /** Until the first byte of the body. */
  readonly firstByteMs: number | undefined
  /** What broke the answer. */
  readonly error: string | undefined
}

/** Endless traffic hands each request to `onSent` and keeps none: then the list is empty. */
export async function runTraffic(options: TrafficOptions): Promise<readonly Sent[]> {
  const agent = new Agent({ connections: 32 })
  const random = randomFrom(options.seed ?? 1)
  const context = { options, agent, random }
  try {
    return options.once === true ? await sendMix(context) : await sendEndlessly(context)
  } finally {
    await agent.destroy()
  }
}

interface Context {
  readonly options: TrafficOptions
  readonly agent: Agent
  readonly random: () => number
}

async function sendMix(context: Context): Promise<Sent[]> {
  const all: Sent[] = []
  for (const planned of MIX) {
    if (context.options.signal?.aborted === true) break
    const sent = await sendOne(context, planned)
    context.options.onSent?.(sent)
    all.push(sent)
  }
  return all
}

const MAX_UNDER_WAY = 64

async function sendEndlessly(context: Context): Promise<Sent[]> {
  const { options, random } = context
  const bag = MIX.flatMap((planned) => Array<Planned>(WEIGHTS[planned.expected.ending]).fill(planned))
  const underWay = new Set<Promise<void>>()
  while (options.signal?.aborted !== true) {
    const planned = bag[Math.floor(random() * bag.length)]
    if (planned !== undefined && underWay.size < MAX_UNDER_WAY) {
      const done = sendOne(context, planned).then((sent) => {
        underWay.delete(done)
        options.onSent?.(sent)
      })
      underWay.add(done)
    }
    // Arrivals without rhythm, as those of many clients are.
    const seconds = -Math.log(1 - random()) / (options.rate ?? 2)
    await pause(Math.min(seconds * 1000, 10_000), options.signal)
  }
  await Promise.all(underWay)
  return []
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    function end() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
    if (signal?.aborted === true) end()
  })
}

/** Pieces of content in a stream of chat or messages. */
const CONTENT = /"delta":\{"content":"|"type":"content_block_delta"/g
const countContent = (body: string) => (body.match(CONTENT) ?? []).length

async function sendOne({ options, agent, random }: Context, planned: Planned): Promise<Sent> {
  const startedAt = performance.now()
  const traceId = hex(random, 32)
  const leaves = planned.expected.ending === 'abort'
  let status = 0
  let body = ''
  let firstByteMs: number | undefined
  let error: string | undefined
  let left = false
  try {
    const response = await send(`${options.gatewayUrl}${planned.path}`, {
      method: planned.method,
      dispatcher: agent,
      signal: options.signal ?? null,
      headers: {
        ...planned.headers,
        ...(planned.body !== undefined && { 'content-type': 'application/json' }),
        traceparent: `00-${traceId}-${hex(random, 16)}-01`,
        'user-agent': 'agentgateway-demo',
        'x-simulate': scriptHeader(planned.script),
        ...options.headers,
      },
      ...(planned.body !== undefined && { body: JSON.stringify(planned.body) }),
    })
    status = response.statusCode
    for await (const piece of response.body.setEncoding('utf8')) {
      firstByteMs ??= performance.now() - startedAt
      body += String(piece)
      left = leaves && countContent(body) >= (planned.script.afterChunks ?? 0)
      // Leaving the loop destroys the body, and with it the connection.
      if (left) break
    }
  } catch (caught) {
    error = caught instanceof Error ? caught.message : String(caught)
  }
  const ending = left ? 'abort' : endingOf(status, body, error)
  return {
    planned,
    status,
    ending,
    asExpected: ending === planned.expected.ending && status === planned.expected.status,
    traceId,
    body,
    durationMs: performance.now() - startedAt,
    firstByteMs,
    error,
  }
}

function endingOf(status: number, body: string, error: string | undefined): Ending {
  if (error !== undefined) return 'broken'
  if (status >= 400) return 'error'
  return /^(event: error$|data: \{"error")/m.test(body) ? 'broken' : 'answer'
}

/** Mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function hex(random: () => number, length: number): string {
  let text = ''
  while (text.length < length)
    text += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return text.slice(0, length)
}
