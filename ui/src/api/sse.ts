/**
 * Server-sent events out of a response's body.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 *
 * `EventSource` cannot send a body or headers, and both the live tail and the playground are POSTs.
 */
export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** Fed with text as it comes, however it is cut; answers the events that are complete. */
export function eventParser(): (text: string) => readonly ServerEvent[] {
  let rest = ''
  let event = ''
  let data: string[] = []

  function takeLine(line: string): ServerEvent | undefined {
    if (line === '') {
      const found = data.length > 0 ? { event: event || 'message', data: data.join('\n') } : undefined
      event = ''
      data = []
      return found
    }
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    if (field === 'event') event = value
    return undefined
  }

  return (text) => {
    rest += text
    const found: ServerEvent[] = []
    let start = 0
    for (let at = 0; at < rest.length; at += 1) {
      const sign = rest[at]
      if (sign !== '\n' && sign !== '\r') continue
      // A CR at the very end may be half of a CRLF.
      if (sign === '\r' && at === rest.length - 1) break
      const complete = takeLine(rest.slice(start, at))
      if (complete !== undefined) found.push(complete)
      if (sign === '\r' && rest[at + 1] === '\n') at += 1
      start = at + 1
    }
    rest = rest.slice(start)
    return found
  }
}

/** Ends with the body; throws what reading throws. Breaking off cancels the body. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const parse = eventParser()
  const decoder = new TextDecoder()
  const reader = body.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      yield* parse(decoder.decode(value, { stream: true }))
    }
    // Some servers leave the last blank line out.
    yield* parse('\n\n')
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
