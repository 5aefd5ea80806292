/**
 * A provider's answer on its way back: bytes in, bytes out, facts noted beside.
 *
 * A whole answer (JSON) is held until it is complete, so that a truncated or unreadable one becomes an honest
 * error instead of half a body. A stream goes on at once: as it came (`same`, `raw`), or event by event through a
 * translation. Nothing here does I/O.
 */
import { GatewayError } from '../core/errors.ts'
import type { LlmFacts, WireFormat } from '../core/exchange.ts'
import { formatEvent, frameSplitter, parseFrame, type SseEvent } from '../core/sse.ts'
import { withoutCredentials } from './credential-mask.ts'
import { errorEvent } from './error-body.ts'
import { guardAnswer } from './guard/guard.ts'
import { errorMessageIn, observeStream, observeWhole, type StreamObserver } from './observe.ts'
import type { LlmPlan } from './plan.ts'
import { behindGuards } from './relay-guarded.ts'
import { outputText } from './request-facts.ts'
import { providerError } from './translate/provider-errors.ts'
import { type Translation, type TranslationContext, TranslationError } from './translate/translation.ts'

export interface WholeAnswer {
  readonly body: Buffer
  /** True when `body` is not what the provider sent. */
  readonly rewritten: boolean
  /** What the provider said was wrong, for the log. */
  readonly errorMessage: string | undefined
  /** The answer's text, when the provider reported no usage for it. */
  readonly uncounted: string | undefined
}

export interface StreamEnd {
  /** Last bytes for the client. */
  readonly bytes: Buffer | undefined
  /** Why this was no success although the bytes ended cleanly. */
  readonly failure:
    | { readonly type: 'provider_stream_error' | 'provider_bad_response'; readonly message: string }
    | undefined
}

export interface StreamRelay {
  /** Bytes for the client, as soon as there are some. Throws `GatewayError` when the provider's bytes make no sense. */
  readonly forward: (chunk: Buffer) => Buffer | undefined
  /** What can wait until the bytes are on their way. */
  readonly observe: (chunk: Buffer) => void
  /** The provider's body ended cleanly. */
  readonly end: () => StreamEnd
  /** The provider's body broke: an error event in the client's format, unless half an event is already out. */
  readonly cut: (status: number, message: string, code: string) => Buffer | undefined
  readonly observer: StreamObserver | undefined
  /** What the client was told, where it was read. */
  readonly text: () => string | undefined
}

const DONE = '[DONE]'

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads the events of a stream for their facts. */
function read(observer: StreamObserver, { data }: SseEvent): void {
  if (data.trim() === DONE) observer.done()
  else observer.event(parseJson(data))
}

const TRUNCATED = 'the provider ended the stream early'

export function endOf(observer: StreamObserver): StreamEnd['failure'] {
  const error = observer.error()
  if (error !== undefined) return { type: 'provider_stream_error', message: error }
  return observer.complete() ? undefined : { type: 'provider_bad_response', message: TRUNCATED }
}

/** The usage chunk that the client did not ask for: it has usage, and no choice. */
function isExtraUsage(event: SseEvent): boolean {
  if (!event.data.includes('"usage"')) return false
  const json = parseJson(event.data)
  if (typeof json !== 'object' || json === null || !('usage' in json) || json.usage === null) return false
  return 'choices' in json && Array.isArray(json.choices) && json.choices.length === 0
}

/** Of what was held back when the stream ended: half an event is nobody's, and may be the usage chunk. */
function isForClient(event: SseEvent | undefined): boolean {
  if (event === undefined || event.data.trim() === DONE) return true
  return parseJson(event.data) !== undefined && !isExtraUsage(event)
}

const EMPTY = Buffer.alloc(0)
const BLANK_LINE = Buffer.from('\n\n')

/** `usage: null` in every other chunk is a trace of our asking, too small to re-serialise for: it stays. */
function sameStream(
  format: WireFormat,
  facts: LlmFacts,
  now: () => number,
  maxBytes: number,
  stripUsage: boolean,
): StreamRelay {
  const observer = observeStream(format, facts, now)
  const splitter = frameSplitter(maxBytes)
  let unreadable = false

  function split(chunk: Buffer): readonly Buffer[] {
    try {
      return splitter.push(chunk)
    } catch (cause) {
      if (stripUsage)
        throw new GatewayError(
          'upstream_bad_response',
          'failed to process LLM response: an event is too large',
          { cause },
        )
      // The bytes go on all the same; only counting ends here.
      unreadable = true
      return []
    }
  }

  return {
    observer,
    text: () => observer.output().text,
    forward(chunk) {
      if (!stripUsage) return chunk
      const kept: Buffer[] = []
      for (const frame of split(chunk)) {
        const event = parseFrame(frame)
        if (event !== undefined) read(observer, event)
        if (event === undefined || !isExtraUsage(event)) kept.push(frame)
      }
      return kept.length <= 1 ? kept[0] : Buffer.concat(kept)
    },
    observe(chunk) {
      if (stripUsage || unreadable) return
      for (const frame of split(chunk)) {
        const event = parseFrame(frame)
        if (event !== undefined) read(observer, event)
      }
    },
    end() {
      const rest = splitter.end()
      const event = rest === undefined ? undefined : parseFrame(rest)
      if (event !== undefined) read(observer, event)
      const held = stripUsage && rest !== undefined && isForClient(event) ? rest : undefined
      const failure = unreadable ? undefined : endOf(observer)
      if (failure?.type !== 'provider_bad_response') return { bytes: held, failure }
      // It looked like the end and was none: without a word the client would take it for a whole answer.
      const told = Buffer.from(formatEvent(errorEvent(format, 502, failure.message, 'upstream_bad_response')))
      const open = stripUsage ? held : rest && EMPTY
      return { bytes: open === undefined ? told : Buffer.concat([open, BLANK_LINE, told]), failure }
    },
    cut(status, message, code) {
      if (!stripUsage && splitter.pendingBytes() > 0) return undefined
      return Buffer.from(formatEvent(errorEvent(format, status, message, code)))
    },
  }
}

function translatedStream(
  translation: Translation,
  context: TranslationContext,
  facts: LlmFacts,
  now: () => number,
  maxBytes: number,
): StreamRelay {
  const observer = observeStream(translation.provider, facts, now)
  const splitter = frameSplitter(maxBytes)
  let state = translation.stream.start(context)

  function step(frame: Buffer): string {
    const event = parseFrame(frame)
    if (event === undefined) return ''
    read(observer, event)
    const [next, events] = translation.stream.step(state, event)
    state = next
    return events.length === 0 ? '' : events.map(formatEvent).join('')
  }

  function translate(frames: readonly Buffer[]): Buffer | undefined {
    let text = ''
    for (const frame of frames) text += step(frame)
    return text === '' ? undefined : Buffer.from(text)
  }

  return {
    observer,
    text: () => observer.output().text,
    forward(chunk) {
      try {
        return translate(splitter.push(chunk))
      } catch (cause) {
        if (!(cause instanceof TranslationError || cause instanceof RangeError)) throw cause
        throw new GatewayError('upstream_bad_response', `failed to process LLM response: ${cause.message}`, {
          cause,
        })
      }
    },
    observe() {},
    end() {
      const rest = splitter.end()
      const last = rest === undefined ? undefined : translate([rest])
      const closing = translation.stream.end(state).map(formatEvent).join('')
      const bytes = Buffer.concat([last ?? Buffer.alloc(0), Buffer.from(closing)])
      return { bytes: bytes.length === 0 ? undefined : bytes, failure: endOf(observer) }
    },
    cut: (status, message, code) =>
      Buffer.from(formatEvent(errorEvent(translation.client, status, message, code))),
  }
}

const RAW: StreamRelay = {
  observer: undefined,
  text: () => undefined,
  forward: (chunk) => chunk,
  observe() {},
  end: () => ({ bytes: undefined, failure: undefined }),
  cut: () => undefined,
}

const NOTHING = { rewritten: false, errorMessage: undefined, uncounted: undefined } as const

export interface RelayOptions {
  readonly now: () => number
  /** Seconds since 1970. */
  readonly epochSeconds: () => number
  readonly newId: () => string
  readonly maxBytes: number
}

function contextOf(plan: LlmPlan, includeUsage: boolean, options: RelayOptions): TranslationContext {
  return {
    now: options.epochSeconds(),
    model: plan.facts.requestModel ?? '',
    id: options.newId(),
    includeUsage,
  }
}

/** For an answer whose head says `text/event-stream`, and for whatever is not read at all. */
export function streamRelay(plan: LlmPlan, options: RelayOptions): StreamRelay {
  const plain = relayFor(plan, options)
  const { guards, facts, verdicts } = plan
  const format = facts.clientFormat
  const { maxBytes, now } = options
  const relay =
    guards.length === 0 || format === undefined
      ? plain
      : behindGuards(plain, guards, { format, checks: facts.guards, verdicts, maxBytes, now })
  return {
    ...relay,
    end() {
      const { bytes, failure } = relay.end()
      return {
        bytes,
        failure: failure && {
          ...failure,
          message: withoutCredentials(failure.message, plan.headers, plan.path),
        },
      }
    },
  }
}

function relayFor(plan: LlmPlan, options: RelayOptions): StreamRelay {
  const { way, facts } = plan
  switch (way.kind) {
    case 'raw':
      return RAW
    case 'same':
      return sameStream(way.format, facts, options.now, options.maxBytes, way.stripUsage)
    case 'translate':
      return translatedStream(
        way.translation,
        contextOf(plan, way.includeUsage, options),
        facts,
        options.now,
        options.maxBytes,
      )
    default:
      way satisfies never
      return RAW
  }
}

/** For any other answer, whole. Throws `GatewayError` (502) when a success is no answer of the provider's format. */
export function relayWhole(plan: LlmPlan, status: number, body: Buffer, options: RelayOptions): WholeAnswer {
  const { way, facts } = plan
  if (way.kind === 'raw') return { ...NOTHING, body }
  const json = parseJson(body.toString('utf8'))
  if (status >= 400) {
    const said = errorMessageIn(json)
    const errorMessage = said && withoutCredentials(said, plan.headers, plan.path)
    // A page of some proxy on the way is no error that an SDK can read.
    const isReadable = typeof json === 'object' && json !== null
    if (way.kind === 'same' && (isReadable || way.lenient)) return { ...NOTHING, body, errorMessage }
    const translated =
      way.kind === 'same' ? providerError(way.format, status, json) : way.translation.error(status, json)
    return { ...NOTHING, body: Buffer.from(JSON.stringify(translated)), rewritten: true, errorMessage }
  }
  const format = way.kind === 'same' ? way.format : way.translation.provider
  const isAnswer = observeWhole(format, json, facts)
  const uncounted = isAnswer && facts.usage === undefined ? outputText(json) : undefined
  if (!isAnswer || typeof json !== 'object' || json === null) {
    if (way.kind === 'same' && way.lenient) return { ...NOTHING, body }
    throw new GatewayError(
      'upstream_bad_response',
      `failed to process LLM response: the provider's answer is no ${format} response`,
    )
  }
  const said = json as Record<string, unknown>
  if (way.kind === 'same') {
    const told = guarded(plan, said)
    if (told === said) return { ...NOTHING, body, uncounted }
    return { ...NOTHING, body: Buffer.from(JSON.stringify(told)), rewritten: true, uncounted }
  }
  try {
    const answer = guarded(plan, way.translation.response(said, contextOf(plan, false, options)))
    return { ...NOTHING, body: Buffer.from(JSON.stringify(answer)), rewritten: true, uncounted }
  } catch (cause) {
    if (!(cause instanceof TranslationError)) throw cause
    throw new GatewayError('upstream_bad_response', `failed to process LLM response: ${cause.message}`, {
      cause,
    })
  }
}

/** Once more from the beginning, where a guard had to be asked. */
function guarded(
  { guards, facts, verdicts }: LlmPlan,
  answer: Record<string, unknown>,
): Record<string, unknown> {
  if (facts.clientFormat === undefined) return answer
  while (facts.guards.at(-1)?.phase === 'response') facts.guards.pop()
  return guardAnswer(guards, facts.clientFormat, answer, facts.guards, verdicts)
}
