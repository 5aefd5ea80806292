/**
 * A stream that a service judges: all of it is held until it is whole, and judged as a whole answer would be. What
 * passes goes on as it came; where texts are masked each goes on in one piece.
 *
 * A connection on which nothing comes for long is taken for dead, by clients and by what is between: while the provider
 * speaks, a comment now and then keeps it alive.
 */
import { GatewayError } from '../core/errors.ts'
import { formatEvent } from '../core/sse.ts'
import { errorEvent } from './error-body.ts'
import { eventGuard, type Open } from './guard/event-guard.ts'
import { isShown, judge, type ServiceGuard } from './guard/judge.ts'
import type { Edit } from './guard/texts.ts'
import { guardedEvents, splitterWithin } from './guarded-events.ts'
import { KEPT_TEXT } from './observe.ts'
import type { StreamEnd, StreamRelay } from './relay.ts'
import type { GuardedOptions } from './relay-guarded.ts'

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes */
const COMMENT_EACH_MS = 15_000
const COMMENT = Buffer.from(':\n\n')

/** Of a chat, reasoning in other shapes, or a choice's whole text: nobody has judged it, and it does not go on. */
const REPEATED = ['"reasoning_details"', '"message"']
const NO_MASKS: ReadonlyMap<string, string> = new Map()

/** Texts that come in pieces are given to `edit` whole, and go on when they are. */
const whole =
  (edit: Edit): Open =>
  (scope, kind) => {
    let text = ''
    return {
      advance(piece, isLast) {
        text += piece
        if (!isLast) return ''
        const said = text
        text = ''
        return said === '' ? '' : edit(scope, kind, said)
      },
    }
  }

/** Of a stream, in one piece: each piece by itself takes a hundred bytes more, and a blank line is one. */
function holder() {
  let block = Buffer.alloc(0)
  let length = 0
  return {
    push(bytes: Buffer): void {
      const needed = length + bytes.length
      if (needed > block.length) {
        const grown = Buffer.allocUnsafe(Math.max(needed, block.length * 2, 4096))
        block.copy(grown, 0, 0, length)
        block = grown
      }
      bytes.copy(block, length)
      length = needed
    },
    all: () => block.subarray(0, length),
  }
}

/** Not all frames of a large stream at once. */
const STEP_BYTES = 64 * 1024

export function judgedRelay(relay: StreamRelay, guard: ServiceGuard, options: GuardedOptions): StreamRelay {
  const { format, checks, verdicts, maxBytes, now } = options
  const splitter = splitterWithin(maxBytes)
  const held = holder()
  let heldBytes = 0
  let toldAt = now()
  /** Each once: some APIs say a text in pieces, and then again whole. */
  const shown = new Set<string>()
  const said: string[] = []
  let ended: StreamEnd | undefined
  let masks: ReadonlyMap<string, string> | undefined
  let isJudged = false
  let repeats = false

  const note: Edit = (scope, kind, text) => {
    if (isShown(scope, kind, text)) shown.add(text)
    return text
  }
  const openNoted = whole((scope, kind, text) => {
    said.push(text)
    return note(scope, kind, text)
  })
  const reading = guardedEvents(format, eventGuard(format, openNoted, note))

  function hold(bytes: Buffer | undefined): void {
    if (bytes === undefined) return
    heldBytes += bytes.length
    if (heldBytes > maxBytes)
      throw new GatewayError('upstream_too_large', 'failed to process LLM response: the answer is too large')
    splitter.push(bytes).forEach(holdFrame)
  }

  function holdFrame(frame: Buffer): void {
    if (reading.step(frame) === undefined) return
    held.push(frame)
    repeats ||= format === 'completions' && REPEATED.some((name) => frame.includes(name))
  }

  function holdRest(): StreamEnd {
    const end = relay.end()
    hold(end.bytes)
    const last = splitter.end()
    if (last !== undefined) holdFrame(last)
    reading.end()
    return end
  }

  function rewritten(texts: ReadonlyMap<string, string>): Buffer {
    const mask: Edit = (scope, kind, text) => (isShown(scope, kind, text) ? (texts.get(text) ?? text) : text)
    const writing = guardedEvents(format, eventGuard(format, whole(mask), mask))
    const again = splitterWithin(maxBytes)
    const bytes = held.all()
    let text = ''
    const write = (frame: Buffer) => {
      text += writing.step(frame) ?? ''
    }
    for (let at = 0; at < bytes.length; at += STEP_BYTES)
      again.push(bytes.subarray(at, at + STEP_BYTES)).forEach(write)
    const last = again.end()
    if (last !== undefined) write(last)
    return Buffer.from(text + writing.end())
  }

  return {
    observer: relay.observer,
    text: () =>
      isJudged
        ? said
            .map((text) => masks?.get(text) ?? text)
            .join('')
            .slice(0, KEPT_TEXT)
        : '',
    forward(chunk) {
      const bytes = relay.forward(chunk)
      relay.observe(chunk)
      hold(bytes)
      if (now() - toldAt < COMMENT_EACH_MS) return undefined
      toldAt = now()
      return COMMENT
    },
    observe() {},
    end() {
      ended ??= holdRest()
      const texts = [...shown]
      const asked = texts.map((content) => ({ role: 'assistant', content }))
      const masked = judge(guard, asked, verdicts, checks)
      masks = masked && new Map(texts.map((text, index) => [text, masked[index] ?? text]))
      isJudged = true
      return {
        ...ended,
        bytes: masks === undefined && !repeats ? held.all() : rewritten(masks ?? NO_MASKS),
      }
    },
    cut: (status, message, code) => Buffer.from(formatEvent(errorEvent(format, status, message, code))),
  }
}
