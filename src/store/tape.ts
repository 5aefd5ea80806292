/**
 * Lists on their way to another thread or process: flat, as numbers, with texts by their place among all texts. Most texts of
 * requests that come together are the same, and each of those is sent once.
 *
 * This is written for every request, between two that are served. As JSON it takes three times as long.
 */

const FIRST_VALUES = 1024

/** Of a record, for the texts that the one before it had at the same place. */
const REMEMBERED = 128

/** What follows on the tape. */
const NOTHING = 0
const FALSE = 1
const TRUE = 2
const NUMBER = 3
const TEXT = 4
const OPEN = 5
const CLOSE = 6
const CLOSE_NAMED = 7

/** As it is sent. */
export interface WrittenTape {
  /** How many: each of the outermost lists is one. */
  readonly records: number
  /** One for each value and each bracket. */
  readonly kinds: Uint8Array<ArrayBuffer>
  /** Each number itself, and of each text its place. */
  readonly values: Float64Array<ArrayBuffer>
  /** JSON of all texts: they are moved and read together. */
  readonly texts: string
}

export const bytesOf = ({ kinds, values, texts }: WrittenTape) =>
  kinds.byteLength + values.byteLength + texts.length

export class Tape {
  #kinds = new Uint8Array(FIRST_VALUES)
  #values = new Float64Array(FIRST_VALUES)
  #kindCount = 0
  #valueCount = 0
  #texts: string[] = []
  #characters = 0
  readonly #places = new Map<string, number>()
  /** Texts and their places, by the place in the record: most are the same again, and need not be looked for. */
  readonly #before: (string | undefined)[] = new Array(REMEMBERED).fill(undefined)
  readonly #placesBefore: number[] = new Array(REMEMBERED).fill(0)
  #records = 0
  /** Where the last record began. */
  #kindStart = 0
  #valueStart = 0

  get records(): number {
    return this.#records
  }

  /** About so many when it is taken. */
  get bytes(): number {
    return this.#kindCount + this.#valueCount * 8 + this.#characters
  }

  /** One list is to follow. */
  begin(): void {
    this.#records += 1
    this.#kindStart = this.#kindCount
    this.#valueStart = this.#valueCount
  }

  /** Takes the last record back. */
  undo(): void {
    this.#records -= 1
    this.#kindCount = this.#kindStart
    this.#valueCount = this.#valueStart
  }

  open(): void {
    this.#put(OPEN)
  }

  close(): void {
    this.#put(CLOSE)
  }

  /** What was opened is read as an object: names and values took turns. */
  closeNamed(): void {
    this.#put(CLOSE_NAMED)
  }

  nothing(): void {
    this.#put(NOTHING)
  }

  flag(value: boolean): void {
    this.#put(value ? TRUE : FALSE)
  }

  /** What JSON has no word for is nothing. */
  number(value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) this.#put(NOTHING)
    else this.#putValue(NUMBER, value)
  }

  /** One that other records have too. */
  text(value: string | undefined): void {
    if (value === undefined) {
      this.#put(NOTHING)
      return
    }
    const slot = this.#valueCount - this.#valueStart
    if (slot >= REMEMBERED) this.#putValue(TEXT, this.#placeOf(value))
    else if (this.#before[slot] === value) this.#putValue(TEXT, this.#placesBefore[slot] ?? 0)
    else {
      const place = this.#placeOf(value)
      this.#before[slot] = value
      this.#placesBefore[slot] = place
      this.#putValue(TEXT, place)
    }
  }

  /** One that hardly any other record has. */
  ownText(value: string | undefined): void {
    if (value === undefined) this.#put(NOTHING)
    else this.#putValue(TEXT, this.#add(value))
  }

  /** All that was written since the last time. */
  take(): WrittenTape {
    const written = {
      records: this.#records,
      kinds: this.#kinds.slice(0, this.#kindCount),
      values: this.#values.slice(0, this.#valueCount),
      texts: JSON.stringify(this.#texts),
    }
    this.#records = 0
    this.#kindCount = 0
    this.#valueCount = 0
    this.#texts = []
    this.#characters = 0
    this.#places.clear()
    this.#before.fill(undefined)
    return written
  }

  #placeOf(text: string): number {
    const known = this.#places.get(text)
    if (known !== undefined) return known
    const place = this.#add(text)
    this.#places.set(text, place)
    return place
  }

  #add(text: string): number {
    this.#characters += text.length
    return this.#texts.push(text) - 1
  }

  #put(kind: number): void {
    if (this.#kindCount === this.#kinds.length) this.#grow()
    this.#kinds[this.#kindCount++] = kind
  }

  #putValue(kind: number, value: number): void {
    this.#put(kind)
    this.#values[this.#valueCount++] = value
  }

  #grow(): void {
    const kinds = new Uint8Array(this.#kinds.length * 2)
    const values = new Float64Array(kinds.length)
    kinds.set(this.#kinds)
    values.set(this.#values)
    this.#kinds = kinds
    this.#values = values
  }
}

/** As JSON has it: undefined is null. */
export type List = readonly unknown[]

/** The records of a tape. */
export function readTape({ kinds, values, texts }: WrittenTape): readonly List[] {
  const allTexts = JSON.parse(texts) as readonly string[]
  const records: unknown[] = []
  const outer: unknown[][] = []
  let list = records
  let next = 0
  for (const kind of kinds) {
    switch (kind) {
      case NUMBER:
        list.push(values[next++])
        break
      case TEXT:
        list.push(allTexts[values[next++] ?? 0])
        break
      case OPEN: {
        const inner: unknown[] = []
        list.push(inner)
        outer.push(list)
        list = inner
        break
      }
      case CLOSE:
        list = outer.pop() ?? records
        break
      case CLOSE_NAMED: {
        const named = namedOf(list)
        list = outer.pop() ?? records
        list[list.length - 1] = named
        break
      }
      default:
        list.push(kind === NOTHING ? null : kind === TRUE)
    }
  }
  return records as readonly List[]
}

function namedOf(list: List): Readonly<Record<string, unknown>> {
  const named: Record<string, unknown> = {}
  for (let index = 0; index < list.length; index += 2) named[String(list[index])] = list[index + 1]
  return named
}
