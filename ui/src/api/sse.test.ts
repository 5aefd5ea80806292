import { expect, test } from 'vitest'
import { eventParser, readEvents } from './sse.ts'

const all = (...texts: string[]) => {
  const parse = eventParser()
  return texts.flatMap((text) => [...parse(text)])
}

test.each([
  ['one event', ['data: a\n\n'], [{ event: 'message', data: 'a' }]],
  ['its name', ['event: log\ndata: a\n\n'], [{ event: 'log', data: 'a' }]],
  ['several lines', ['data: a\ndata: b\n\n'], [{ event: 'message', data: 'a\nb' }]],
  ['a cut anywhere', ['da', 'ta: ', 'a\n', '\n'], [{ event: 'message', data: 'a' }]],
  ['CRLF', ['data: a\r\n\r\n'], [{ event: 'message', data: 'a' }]],
  ['a CRLF cut in two', ['data: a\r', '\n\r', '\nx'], [{ event: 'message', data: 'a' }]],
  ['no space after the colon', ['data:a\n\n'], [{ event: 'message', data: 'a' }]],
  ['comments and unknown fields as nothing', [': hi\nid: 1\nretry: 5\n\n'], []],
  ['nothing that is not complete', ['data: a\n'], []],
  [
    'two events at once',
    ['data: a\n\nevent: x\ndata: b\n\n'],
    [
      { event: 'message', data: 'a' },
      { event: 'x', data: 'b' },
    ],
  ],
])('reads %s', (_, texts, events) => {
  expect(all(...texts)).toEqual(events)
})

test('reads a body to its end, also without the last blank line, and characters cut in two', async () => {
  const bytes = new TextEncoder().encode('data: é\n\ndata: end')
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.slice(0, 7))
      controller.enqueue(bytes.slice(7))
      controller.close()
    },
  })
  const found = []
  for await (const event of readEvents(body)) found.push(event.data)
  expect(found).toEqual(['é', 'end'])
})
