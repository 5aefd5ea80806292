import { describe, expect, test } from 'vitest'
import { bytesOf, MOST, Tape, TapeReader } from './tape.ts'

/** Tells the tape what it is to be read as. */
function written(...records: readonly ((tape: Tape) => void)[]): TapeReader {
  const tape = new Tape()
  for (const write of records) {
    tape.begin()
    write(tape)
    tape.end()
  }
  return new TapeReader(tape.take())
}

const NUMBERS = [0, -1, 1.5, 2 ** 53, -(2 ** 60), 5e-324, 1_700_000_000_123.456]
const TEXTS = ['', 'a', '"\\\n\u0000', 'é', '日本語', '😀', '\ud800', 'x'.repeat(1024), '__proto__']

describe('a tape', () => {
  test.each(NUMBERS)('has the number %d', (value) => {
    expect(written((tape) => tape.number(value)).number()).toBe(value)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined])('has nothing for the number %d', (value) => {
    expect(written((tape) => tape.number(value)).number()).toBeUndefined()
  })

  test.each(TEXTS)('has the text %j, alone and again', (value) => {
    const record = (tape: Tape) => {
      tape.text(value)
      tape.ownText(value)
      tape.text(value)
    }
    const reader = written(record, record)
    const read = () => [reader.text(), reader.ownText(), reader.text()]
    expect([...read(), ...read()]).toEqual(Array(6).fill(value))
  })

  test('has what is neither', () => {
    const reader = written((tape) => {
      tape.count(0)
      tape.count(2 ** 31 - 1)
      tape.count(undefined)
      tape.flag(true)
      tape.flag(false)
      tape.text(undefined)
      tape.ownText(undefined)
    })
    expect([reader.count(), reader.count(), reader.count()]).toEqual([0, 2 ** 31 - 1, undefined])
    expect([reader.flag(), reader.flag()]).toEqual([true, false])
    expect([reader.text(), reader.ownText()]).toEqual([undefined, undefined])
  })

  test('has the beginning of a long text, and all of an own one', () => {
    const long = 'x'.repeat(5000)
    const reader = written((tape) => {
      tape.text(long)
      tape.ownText(long)
      tape.text(long)
    })
    const beginning = `${'x'.repeat(1023)}…`
    expect([reader.text(), reader.ownText(), reader.text()]).toEqual([beginning, long, beginning])
  })

  test('tells texts apart that stand at the same place in one record after the other', () => {
    const values = ['', 'a', 'b', 'a', 'a', undefined, 'a', '', 'b', undefined]
    const reader = written(...values.map((value) => (tape: Tape) => tape.text(value)))
    expect(values.map(() => reader.text())).toEqual(values)
  })

  test('sends a text of many records once', () => {
    const tape = new Tape()
    for (let index = 0; index < 1000; index += 1) {
      tape.begin()
      tape.text('the same model')
      tape.end()
    }
    const { records, texts } = tape.take()
    expect(records).toBe(1000)
    expect(JSON.parse(texts)).toEqual(['', 'the same model'])
  })

  test('has room for any number of records that are as long as one may be', () => {
    const long = (tape: Tape) => {
      for (let index = 0; index < MOST; index += 1) {
        tape.number(index)
        tape.text(`text ${index}`)
      }
    }
    const reader = written(...Array.from({ length: 20 }, () => long))
    for (let record = 0; record < 20; record += 1) {
      for (let index = 0; index < MOST; index += 1) {
        if (reader.number() !== index || reader.text() !== `text ${index}`) expect.fail(`${record}, ${index}`)
      }
    }
  })

  test('takes a record back that was begun', () => {
    const tape = new Tape()
    const add = (value: string) => {
      tape.begin()
      tape.text(value)
      tape.ownText(`of the ${value}`)
      tape.number(1)
    }
    add('first')
    tape.end()
    add('half')
    tape.undo()
    add('last')
    tape.end()
    expect(tape.records).toBe(2)
    const reader = new TapeReader(tape.take())
    const read = () => [reader.text(), reader.ownText(), reader.number()]
    expect([read(), read()]).toEqual([
      ['first', 'of the first', 1],
      ['last', 'of the last', 1],
    ])
  })

  test('is empty when it was taken, and knows nothing of what was on it', () => {
    const tape = new Tape()
    const add = (value: string) => {
      tape.begin()
      tape.text(value)
      tape.ownText(value)
      tape.end()
    }
    add('a')
    const first = tape.take()
    expect([tape.records, tape.bytes]).toEqual([0, 0])
    add('a')
    const second = tape.take()
    expect(second).toEqual(first)
    const reader = new TapeReader(first)
    expect([reader.text(), reader.ownText()]).toEqual(['a', 'a'])
    expect(bytesOf(second)).toBe(2 * 4 + '["","a"]'.length + 'a'.length)
    expect(second.cells.buffer.byteLength).toBe(2 * 4)
  })
})
