import { expect, test } from 'vitest'
import { now } from './clock.ts'
import { markOf, readMarks, type StreamReader } from './marks.ts'

const chunk = (sequence: number, at = now()) => `data: {"content":"${markOf(sequence, at)}"}\n\n`
const OPENING = 'data: {"role":"assistant","content":""}\n\n'
const DONE = 'data: [DONE]\n\n'
const stream = (...parts: readonly string[]) => Buffer.from([OPENING, ...parts].join(''))

const told = (reader: StreamReader) => ({
  chunks: reader.chunks(),
  events: reader.events(),
  bytes: reader.bytes(),
  isWhole: reader.isWhole(),
})

test('a stream reads the same wherever it is cut', () => {
  const bytes = stream(chunk(0), chunk(1), DONE)
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = readMarks()
    reader.read(bytes.subarray(0, cut))
    reader.read(bytes.subarray(cut))
    expect(told(reader), `cut at ${cut}`).toEqual({
      chunks: 2,
      events: 4,
      bytes: bytes.length,
      isWhole: true,
    })
  }
  const reader = readMarks()
  for (const byte of bytes) reader.read(Buffer.from([byte]))
  expect(told(reader)).toMatchObject({ chunks: 2, events: 4, isWhole: true })
})

test.each([
  { name: 'lacks one', parts: [chunk(0), chunk(2), DONE] },
  { name: 'has one twice', parts: [chunk(0), chunk(0), DONE] },
  { name: 'has them in another order', parts: [chunk(1), chunk(0), DONE] },
  { name: 'is cut off', parts: [chunk(0), chunk(1)] },
  { name: 'goes on after its end', parts: [chunk(0), DONE, chunk(1)] },
])('a stream that $name is not whole', ({ parts }) => {
  const reader = readMarks()
  reader.read(stream(...parts))
  expect(reader.isWhole()).toBe(false)
})

test('the first content is the first chunk, not what comes before', () => {
  const reader = readMarks()
  reader.read(stream())
  expect(reader.firstContentAt()).toBeUndefined()
  const before = now()
  reader.read(Buffer.from(chunk(0)))
  expect(reader.firstContentAt()).toBeGreaterThanOrEqual(before)
})

test('each chunk but the first tells how long it was under way', () => {
  const delays: number[] = []
  const reader = readMarks((delayMs) => delays.push(delayMs))
  reader.read(stream(chunk(0, now() - 9000), chunk(1, now() - 50), chunk(2, now() - 700)))
  expect(delays).toHaveLength(2)
  expect(delays[0]).toBeGreaterThanOrEqual(50)
  expect(delays[1]).toBeGreaterThanOrEqual(700)
  expect(delays[1]).toBeLessThan(9000)
})
