/** The events of a stream for a client, read once more for its guards and written anew. */
import { GatewayError } from '../core/errors.ts'
import type { WireFormat } from '../core/exchange.ts'
import { type FrameSplitter, formatEvent, frameSplitter, parseFrame } from '../core/sse.ts'
import type { EventGuard } from './guard/event-guard.ts'
import { isObject, type Json } from './guard/texts.ts'

const DONE = '[DONE]'

const writeAll = (format: WireFormat, events: readonly Json[]) =>
  events
    .map((event) =>
      formatEvent({
        event: format === 'completions' ? undefined : String(event.type),
        data: JSON.stringify(event),
      }),
    )
    .join('')

export interface GuardedEvents {
  /** Text for the client; undefined for what cannot be read, and so not be guarded either. */
  readonly step: (frame: Buffer) => string | undefined
  readonly end: () => string
}

export function guardedEvents(format: WireFormat, guard: EventGuard): GuardedEvents {
  const write = (events: readonly Json[]) => writeAll(format, events)
  return {
    step(frame) {
      const event = parseFrame(frame)
      if (event === undefined) return frame.toString()
      if (event.data.trim() === DONE) return write(guard.end()) + formatEvent(event)
      const json = parseObject(event.data)
      return json === undefined ? undefined : write(guard.step(json))
    },
    end: () => write(guard.end()),
  }
}

export function splitterWithin(maxBytes: number): Pick<FrameSplitter, 'push' | 'end'> {
  const splitter = frameSplitter(maxBytes)
  return {
    push(chunk) {
      try {
        return splitter.push(chunk)
      } catch (cause) {
        throw new GatewayError(
          'upstream_bad_response',
          'failed to process LLM response: an event is too large',
          { cause },
        )
      }
    },
    end: () => splitter.end(),
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
