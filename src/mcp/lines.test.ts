import { expect, test } from 'vitest'
import { lineSplitter } from './lines.ts'

test.each([
  ['one\n', ['one']],
  ['one\r\ntwo\n', ['one', 'two']],
  ['\n\n', ['', '']],
  ['é…🙂\nend', ['é…🙂']],
  ['no end', []],
])('%j, whatever the split', (text, expected) => {
  const bytes = Buffer.from(text)
  for (let size = 1; size <= bytes.length; size++) {
    const { push } = lineSplitter(100)
    const lines: string[] = []
    for (let at = 0; at < bytes.length; at += size) lines.push(...push(bytes.subarray(at, at + size)))
    expect(lines).toEqual(expected)
  }
})

test('a line that is too long is refused, also in pieces', () => {
  const { push } = lineSplitter(10)
  expect(push(Buffer.from('12345'))).toEqual([])
  expect(() => push(Buffer.from('678901'))).toThrow('a line exceeds 10 bytes')
})
