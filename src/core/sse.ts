/**
 * Server-sent events: bytes to events and back, under any split of the bytes.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 *
 * The decoder works on bytes, never on half a UTF-8 character, and looks at each byte once, so that a 1 MB
 * event that comes in small pieces costs linear time.
 */

export interface SseEvent {
  /** The `event:` field; undefined when there was none. */
  readonly event: string | undefined
  /** The `data:` lines, joined by newlines. */
  readonly data: string
}
