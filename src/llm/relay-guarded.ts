/**
 * A stream behind guards: the events that another relay has for the client are read once more, and what a guard has to
 * say of their texts is done to them. Facts are those of the relay within: usage is the provider's, whatever was masked.
 */
import { GatewayError } from '../core/errors.ts'
import type { GuardCheck, WireFormat } from '../core/exchange.ts'
import { formatEvent, frameSplitter, parseFrame } from '../core/sse.ts'
import { errorEvent } from './error-body.ts'
import { eventGuard, type Open } from './guard/event-guard.ts'
import { type Guard, guardsInOrder } from './guard/guard.ts'
import { isObject, type Json } from './guard/texts.ts'
import { KEPT_TEXT } from './observe.ts'
import type { StreamRelay } from './relay.ts'

export interface GuardedOptions {
  /** The client's. */
  readonly format: WireFormat
  readonly guards: readonly Guard[]
  readonly checks: GuardCheck[]
  readonly maxBytes: number
}

const DONE = '[DONE]'

export function guardedRelay(relay: StreamRelay, options: GuardedOptions): StreamRelay {
  const { format, guards, checks, maxBytes } = options
  const { open, edit } = guardsInOrder(guards, checks)
  const splitter = frameSplitter(maxBytes)
  let kept = ''

  const openKept: Open = (scope, kind) => {
    const stream = open(scope, kind)
    return {
      advance(piece, isLast) {
        const released = stream.advance(piece, isLast)
        if (kept.length < KEPT_TEXT) kept += released
        return released
      },
    }
  }
  const guard = eventGuard(format, openKept, edit)

  const write = (events: readonly Json[]) =>
    events
      .map((event) =>
        formatEvent({
          event: format === 'completions' ? undefined : String(event.type),
          data: JSON.stringify(event),
        }),
      )
      .join('')

  function step(frame: Buffer): string {
    const event = parseFrame(frame)
    if (event === undefined) return frame.toString()
    if (event.data.trim() === DONE) return write(guard.end()) + formatEvent(event)
    const json = parseObject(event.data)
    // What cannot be read cannot be guarded either.
    return json === undefined ? '' : write(guard.step(json))
  }

  function split(chunk: Buffer): readonly Buffer[] {
    try {
      return splitter.push(chunk)
    } catch (cause) {
      throw new GatewayError(
        'upstream_bad_response',
        'failed to process LLM response: an event is too large',
        { cause },
      )
    }
  }

  const told = (text: string) => (text === '' ? undefined : Buffer.from(text))

  /** The stream is broken off already; what a guard would reject of the rest is not sent. */
  function rest(): string {
    try {
      return write(guard.end())
    } catch {
      return ''
    }
  }

  return {
    observer: relay.observer,
    text: () => kept,
    forward(chunk) {
      const bytes = relay.forward(chunk)
      // First, for a guard may throw: what was rejected is paid for, too.
      relay.observe(chunk)
      return bytes && told(split(bytes).map(step).join(''))
    },
    observe() {},
    end() {
      const { bytes, failure } = relay.end()
      const frames = bytes === undefined ? [] : split(bytes)
      const last = splitter.end()
      const text = [...frames, ...(last === undefined ? [] : [last])].map(step).join('')
      return { bytes: told(text + write(guard.end())), failure }
    },
    cut(status, message, code) {
      const held = code === 'guard_rejected' ? '' : rest()
      return Buffer.from(held + formatEvent(errorEvent(format, status, message, code)))
    },
  }
}

function parseObject(text: string): Json | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}
