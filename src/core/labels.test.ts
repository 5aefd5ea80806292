import { expect, test } from 'vitest'
import { onlyLabels, parseLabels } from './labels.ts'

test.each([
  { text: '', labels: {} },
  { text: 'a="x",b_1="y"', labels: { a: 'x', b_1: 'y' } },
  { text: String.raw`a="say \"hi\", b=\\c",d="line\nend"`, labels: { a: 'say "hi", b=\\c', d: 'line\nend' } },
])('it reads the labels of $text', ({ text, labels }) => {
  expect(parseLabels(text)).toEqual(labels)
})

test.each([
  { text: '', names: ['a'], kept: '' },
  { text: 'a="x"', names: [], kept: '' },
  { text: 'a="x",b="y",le="0.5"', names: ['le', 'a'], kept: 'a="x",le="0.5"' },
  { text: 'aa="x",a="y"', names: ['a'], kept: 'a="y"' },
  { text: String.raw`a="b=\"1\",c",b="2"`, names: ['b', 'c'], kept: 'b="2"' },
])('it keeps $names of $text', ({ text, names, kept }) => {
  expect(onlyLabels(text, names)).toBe(kept)
})
