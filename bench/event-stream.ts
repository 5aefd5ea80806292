/** Reads a chat completion's event stream as a client would: what was said, in how many pieces, and when it began. */
import { now } from './clock.ts'

export interface StreamReader {
  readonly read: (piece: Buffer) => void
  /** Undefined before the first content that is not empty. */
  readonly firstContentAt: () => number | undefined
  /** Events with content. */
  readonly contentEvents: () => number
  readonly events: () => number
  readonly text: () => string
}

export function readStream(): StreamReader {
  const decoder = new TextDecoder()
  let held = ''
  let text = ''
  let events = 0
  let contentEvents = 0
  let firstContentAt: number | undefined

  function take(event: string): void {
    if (!event.startsWith('data: ')) return
    events++
    const content = contentOf(event.slice('data: '.length))
    if (content === '') return
    firstContentAt ??= now()
    contentEvents++
    text += content
  }

  return {
    read(piece) {
      held += decoder.decode(piece, { stream: true })
      const parts = held.split('\n\n')
      held = parts.pop() ?? ''
      parts.forEach(take)
    },
    firstContentAt: () => firstContentAt,
    contentEvents: () => contentEvents,
    events: () => events,
    text: () => text,
  }
}

function contentOf(data: string): string {
  // A pattern, not a parse: the generator must stay cheaper than what it measures.
  const quoted = /"content":\s*("(?:[^"\\]|\\.)+")/.exec(data)?.[1]
  return quoted === undefined ? '' : String(JSON.parse(quoted))
}
