import { describe, expect, test } from 'vitest'
import { formatEvent, frameSplitter, parseFrame } from './sse.ts'

/** Every event of `bytes`, when they arrive in pieces of `size`. */
function decode(bytes: Buffer, size: number) {
  const splitter = frameSplitter()
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) frames.push(...splitter.push(bytes.subarray(at, at + size)))
  const rest = splitter.end()
  if (rest !== undefined) frames.push(rest)
  return { events: frames.map(parseFrame).filter((event) => event !== undefined), raw: Buffer.concat(frames) }
}

const one = [{ event: undefined, data: 'a' }]

describe('frameSplitter and parseFrame', () => {
  test.each([
    { name: 'a line feed', text: 'data: a\n\n', events: one },
    { name: 'carriage return and line feed', text: 'data: a\r\n\r\n', events: one },
    { name: 'lone carriage returns', text: 'data: a\r\r', events: one },
    {
      name: 'mixed line ends',
      text: 'data: a\r\n\ndata: b\n\r\n',
      events: [...one, { event: undefined, data: 'b' }],
    },
    { name: 'no final blank line', text: 'data: a\n', events: one },
    { name: 'no final line end', text: 'data: a', events: one },
    { name: 'no space after the colon', text: 'data:a\n\n', events: one },
    {
      name: 'only the first space is dropped',
      text: 'data:  a\n\n',
      events: [{ event: undefined, data: ' a' }],
    },
    { name: 'comments', text: ': ping\n\ndata: a\n\n:\n\n', events: one },
    {
      name: 'an event name',
      text: 'event: message_stop\ndata: {}\n\n',
      events: [{ event: 'message_stop', data: '{}' }],
    },
    {
      name: 'several data lines',
      text: 'data: a\ndata: b\n\n',
      events: [{ event: undefined, data: 'a\nb' }],
    },
    { name: 'a byte order mark', text: '\ufeffdata: a\n\n', events: one },
    { name: 'blank lines between events', text: '\n\ndata: a\n\n\n\n', events: one },
    { name: 'an event without data', text: 'event: ping\n\ndata: a\n\n', events: one },
    {
      name: 'id and retry fields',
      text: 'id: 1\nretry: 5\ndata: a\n\nid: a\0b\nretry: soon\ndata: b\n\n',
      events: [
        { event: undefined, data: 'a', id: '1', retry: 5 },
        { event: undefined, data: 'b' },
      ],
    },
    {
      name: 'characters of two to four bytes',
      text: 'data: é…🙂\n\n',
      events: [{ event: undefined, data: 'é…🙂' }],
    },
    { name: 'the end marker', text: 'data: [DONE]\n\n', events: [{ event: undefined, data: '[DONE]' }] },
  ])('reads $name, whatever the split', ({ text, events }) => {
    const bytes = Buffer.from(text)
    for (let size = 1; size <= bytes.length; size++) {
      const decoded = decode(bytes, size)
      expect(decoded.events).toEqual(events)
      expect(decoded.raw).toEqual(bytes)
    }
  })

  test('reads a megabyte in one event that comes byte by byte', () => {
    const bytes = Buffer.from(`data: ${'x'.repeat(1_000_000)}\n\n`)
    const { events } = decode(bytes, 1)
    expect(events[0]?.data.length).toBe(1_000_000)
  })

  test('refuses a frame without end', () => {
    const splitter = frameSplitter(1000)
    splitter.push(Buffer.alloc(900, 'x'))
    expect(() => splitter.push(Buffer.alloc(200, 'x'))).toThrow(/exceeds 1000 bytes/)
  })
})

test.each([
  { event: { event: undefined, data: 'a' }, text: 'data: a\n\n' },
  { event: { event: 'e', data: 'a\nb' }, text: 'event: e\ndata: a\ndata: b\n\n' },
])('formatEvent writes $text', ({ event, text }) => {
  expect(formatEvent(event)).toBe(text)
  expect(parseFrame(Buffer.from(text))).toEqual(event)
})
