import { describe, expect, test } from 'vitest'
import { bytesOf, readTape, Tape } from './tape.ts'

/** Each record is a list of one value, or of several. */
function read(...records: readonly ((tape: Tape) => void)[]) {
  const tape = new Tape()
  for (const record of records) {
    tape.begin()
    tape.open()
    record(tape)
    tape.close()
  }
  return readTape(tape.take())
}

const NUMBERS = [0, -1, 1.5, 2 ** 53, -(2 ** 60), 5e-324, 1_700_000_000_123.456]
const TEXTS = ['', 'a', '"\\\n\u0000', 'é', '日本語', '😀', '\ud800', 'x'.repeat(100_000), '__proto__']

describe('a tape', () => {
  test.each(NUMBERS)('has the number %d', (value) => {
    expect(read((tape) => tape.number(value))).toEqual([[value]])
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined])('has nothing for the number %d', (value) => {
    expect(read((tape) => tape.number(value))).toEqual([[null]])
  })

  test.each(TEXTS)('has the text %j, alone and again', (value) => {
    const record = (tape: Tape) => {
      tape.text(value)
      tape.ownText(value)
      tape.text(value)
    }
    expect(read(record, record)).toEqual([
      [value, value, value],
      [value, value, value],
    ])
  })

  test('has what is neither', () => {
    const record = (tape: Tape) => {
      tape.nothing()
      tape.flag(true)
      tape.flag(false)
      tape.text(undefined)
      tape.ownText(undefined)
    }
    expect(read(record)).toEqual([[null, true, false, null, null]])
  })

  test('has lists in lists, and names', () => {
    const record = (tape: Tape) => {
      tape.open()
      tape.close()
      tape.open()
      tape.text('a')
      tape.number(1)
      tape.text('b')
      tape.open()
      tape.number(2)
      tape.close()
      tape.closeNamed()
      tape.number(3)
    }
    expect(read(record)).toEqual([[[], { a: 1, b: [2] }, 3]])
  })

  test('tells texts apart that stand at the same place in one record after the other', () => {
    const record = (value: string) => (tape: Tape) => tape.text(value)
    expect(read(...['a', 'b', 'a', 'a', 'b'].map(record))).toEqual([['a'], ['b'], ['a'], ['a'], ['b']])
  })

  test('sends a text of many records once', () => {
    const tape = new Tape()
    for (let index = 0; index < 1000; index += 1) {
      tape.begin()
      tape.open()
      tape.text('the same model')
      tape.close()
    }
    const written = tape.take()
    expect(written.records).toBe(1000)
    expect(JSON.parse(written.texts)).toEqual(['the same model'])
    expect(readTape(written)).toHaveLength(1000)
  })

  test('has records of any length', () => {
    const long = (tape: Tape) => {
      for (let index = 0; index < 5000; index += 1) {
        tape.number(index)
        tape.text(`text ${index}`)
      }
    }
    const all = Array.from({ length: 5000 }, (_, index) => [index, `text ${index}`]).flat()
    expect(read(long, long)).toEqual([all, all])
  })

  test('takes a record back that was begun', () => {
    const tape = new Tape()
    const add = (value: string) => {
      tape.begin()
      tape.open()
      tape.text(value)
    }
    add('first')
    tape.close()
    add('half')
    tape.undo()
    add('last')
    tape.close()
    expect(tape.records).toBe(2)
    expect(readTape(tape.take())).toEqual([['first'], ['last']])
  })

  test('is empty when it was taken, and knows nothing of what was on it', () => {
    const tape = new Tape()
    const add = (value: string) => {
      tape.begin()
      tape.open()
      tape.text(value)
      tape.close()
    }
    add('a')
    const first = tape.take()
    expect([tape.records, tape.bytes]).toEqual([0, 0])
    add('a')
    const second = tape.take()
    expect(second).toEqual(first)
    expect(readTape(first)).toEqual([['a']])
    expect(bytesOf(second)).toBe(3 + 8 + '["a"]'.length)
    expect(second.values.buffer.byteLength).toBe(8)
  })
})
