import { expect, test } from 'vitest'
import { toCsv } from './csv.ts'

test.each([
  ['leaves plain text alone', 'gpt-4o', 'gpt-4o'],
  ['leaves numbers alone, negative ones too', -1.5, '-1.5'],
  ['leaves out what is not known', undefined, ''],
  ['quotes commas', 'a,b', '"a,b"'],
  ['doubles quotes', 'a "b"', '"a ""b"""'],
  ['quotes line ends', 'a\nb', '"a\nb"'],
  ['disarms =', '=1+1', "'=1+1"],
  ['disarms @', '@SUM(A1)', "'@SUM(A1)"],
  ['disarms + and quotes as well', '+1,2', `"'+1,2"`],
  ['disarms - in text', '-cmd', "'-cmd"],
  ['disarms a tab in front', '\t=1', "'\t=1"],
  ['disarms full-width signs', '＝1', "'＝1"],
])('%s', (_, value, text) => {
  expect(toCsv([[value]])).toBe(`${text}\r\n`)
})

test('ends every row', () => {
  expect(
    toCsv([
      ['a', 1],
      ['b', 2],
    ]),
  ).toBe('a,1\r\nb,2\r\n')
})
