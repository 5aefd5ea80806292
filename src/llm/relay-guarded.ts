/**
 * A stream behind guards: the events that another relay has for the client are read once more, and what a guard has to
 * say of their texts is done to them. Facts are those of the relay within: usage is the provider's, whatever was masked.
 */
import type { GuardCheck, WireFormat } from '../core/exchange.ts'
import { formatEvent } from '../core/sse.ts'
import { errorEvent } from './error-body.ts'
import { eventGuard, type Open } from './guard/event-guard.ts'
import { type Guard, guardsInOrder, type PatternGuard } from './guard/guard.ts'
import type { Verdicts } from './guard/verdicts.ts'
import { guardedEvents, splitterWithin } from './guarded-events.ts'
import { KEPT_TEXT } from './observe.ts'
import type { StreamRelay } from './relay.ts'
import { judgedRelay } from './relay-judged.ts'

export interface GuardedOptions {
  /** The client's. */
  readonly format: WireFormat
  readonly checks: GuardCheck[]
  readonly verdicts: Verdicts | undefined
  readonly maxBytes: number
  readonly now: () => number
}

/** In order: patterns that follow each other look at the stream together. */
export function behindGuards(
  relay: StreamRelay,
  guards: readonly Guard[],
  options: GuardedOptions,
): StreamRelay {
  let behind = relay
  let together: PatternGuard[] = []
  const close = () => {
    if (together.length > 0) behind = guardedRelay(behind, together, options)
    together = []
  }
  for (const guard of guards) {
    if (guard.service === undefined) together.push(guard)
    else {
      close()
      behind = judgedRelay(behind, guard, options)
    }
  }
  close()
  return behind
}

function guardedRelay(
  relay: StreamRelay,
  guards: readonly PatternGuard[],
  { format, checks, maxBytes }: GuardedOptions,
): StreamRelay {
  const { open, edit } = guardsInOrder(guards, checks)
  const splitter = splitterWithin(maxBytes)
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
  const events = guardedEvents(format, eventGuard(format, openKept, edit))
  const step = (frame: Buffer) => events.step(frame) ?? ''
  const told = (text: string) => (text === '' ? undefined : Buffer.from(text))

  /** The stream is broken off already; what a guard would reject of the rest is not sent. */
  function rest(): string {
    try {
      return events.end()
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
      return bytes && told(splitter.push(bytes).map(step).join(''))
    },
    observe() {},
    end() {
      const { bytes, failure } = relay.end()
      const frames = bytes === undefined ? [] : splitter.push(bytes)
      const last = splitter.end()
      const text = [...frames, ...(last === undefined ? [] : [last])].map(step).join('')
      return { bytes: told(text + events.end()), failure }
    },
    cut(status, message, code) {
      const held = code === 'guard_rejected' ? '' : rest()
      return Buffer.from(held + formatEvent(errorEvent(format, status, message, code)))
    },
  }
}
