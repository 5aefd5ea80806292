/**
 * Records on their way to another thread or process: flat, as numbers, with texts by their place among all texts. Most texts of
 * requests that come together are the same, and each of those is sent once.
 *
 * This is written for every request, between two that are served. As JSON it takes seven times as long.
 */
import { clip, MAX_TEXT } from './fields.ts'

/** More cells, and more numbers, than any record has. */
export const MOST = 2048

const FIRST = 4 * MOST

/** Among so many that were written last, equal facts are looked for. */
const LOOKED_AT = 8

/** Characters of own texts that are put together at a time, while the processor still has them at hand. */
const TOGETHER = 2048

/** In a cell. */
const NONE = -1

/** The place of the empty text: it is always the first. */
const EMPTY_TEXT = 0

/** Facts that many records have in common. Whoever writes them sees to it that `read` takes what `write` has put. */
export interface Kind<T> {
  /** From 0, another for each kind. */
  readonly index: number
  readonly isSame: (one: T, other: T) => boolean
  /** These facts alone. */
  readonly copy: (facts: T) => T
  readonly write: (tape: Tape, facts: T) => void
  readonly read: (from: TapeReader) => T
}

/** Of one kind: those that were written, by their number. */
interface Known {
  readonly all: unknown[]
  /** Of records that were ended: so many. */
  certain: number
  /** The one that was asked for last, and its number. */
  latest: unknown
  number: number
}

/** As it is sent. */
export interface WrittenTape {
  readonly records: number
  /** Of one record after the other: the place of a text, the length of an own one, what is counted. */
  readonly cells: Int32Array<ArrayBuffer>
  /** NaN for none. */
  readonly numbers: Float64Array<ArrayBuffer>
  /** JSON: they are moved and read together. */
  readonly texts: string
  /** One after the other. */
  readonly ownTexts: string
}

export const bytesOf = ({ cells, numbers, texts, ownTexts }: WrittenTape) =>
  cells.byteLength + numbers.byteLength + texts.length + ownTexts.length

export class Tape {
  #cells = new Int32Array(FIRST)
  /** Where the record begins that is being written. */
  #start = 0
  #at = 0
  #numbers = new Float64Array(FIRST)
  #numberStart = 0
  #numberAt = 0
  #texts = ['']
  #places = new Map<string, number>()
  /** Texts and their places, by the cell of the record: most are the same again, and need not be looked for. */
  readonly #before: string[] = new Array(MOST).fill('')
  readonly #placesBefore: number[] = new Array(MOST).fill(EMPTY_TEXT)
  #ownTexts = ''
  /** Before the record that is being written. */
  #ownTextsBefore = ''
  #together: string[] = []
  #known: Known[] = []
  #hasNewFacts = false
  #characters = 0
  #records = 0

  get records(): number {
    return this.#records
  }

  /** About so many when it is taken. */
  get bytes(): number {
    return this.#start * 4 + this.#numberStart * 8 + this.#characters
  }

  /** A record is to follow. */
  begin(): void {
    if (this.#start + MOST > this.#cells.length) this.#cells = twice(this.#cells, Int32Array)
    if (this.#numberStart + MOST > this.#numbers.length) this.#numbers = twice(this.#numbers, Float64Array)
  }

  end(): void {
    this.#start = this.#at
    this.#numberStart = this.#numberAt
    if (this.#ownTexts.length >= TOGETHER) this.#putTogether()
    this.#ownTextsBefore = this.#ownTexts
    if (this.#hasNewFacts) this.#becomeCertain()
    this.#records += 1
  }

  /** Forgets the record that was begun. */
  undo(): void {
    this.#at = this.#start
    this.#numberAt = this.#numberStart
    this.#ownTexts = this.#ownTextsBefore
    for (const known of this.#known) {
      known.all.length = known.certain
      known.latest = undefined
    }
    this.#hasNewFacts = false
  }

  /** What is not finite is nothing. */
  number(value: number | undefined): void {
    this.#numbers[this.#numberAt++] = value ?? Number.NaN
  }

  flag(value: boolean): void {
    this.#cells[this.#at++] = value ? 1 : 0
  }

  /** A small whole number, not below zero. */
  count(value: number | undefined): void {
    this.#cells[this.#at++] = value ?? NONE
  }

  /** One that other records have too: of a long one the beginning. */
  text(value: string | undefined): void {
    const cell = this.#at - this.#start
    if (value === undefined) this.#cells[this.#at++] = NONE
    else if (this.#before[cell] === value) this.#cells[this.#at++] = this.#placesBefore[cell] ?? EMPTY_TEXT
    else this.#cells[this.#at++] = this.#otherText(cell, value)
  }

  /** One that hardly any other record has. */
  ownText(value: string | undefined): void {
    if (value === undefined) this.#cells[this.#at++] = NONE
    else {
      this.#cells[this.#at++] = value.length
      this.#characters += value.length
      this.#ownTexts += value
    }
  }

  /** Facts that are the same again are written as a number. */
  shared<T>(kind: Kind<T>, facts: T): void {
    this.#known[kind.index] ??= { all: [], certain: 0, latest: undefined, number: 0 }
    const known = this.#known[kind.index] as Known
    const number = numberOf(known, kind, facts)
    this.count(number)
    if (number !== undefined) return
    kind.write(this, facts)
    known.latest = kind.copy(facts)
    known.number = known.all.push(known.latest) - 1
    this.#hasNewFacts = true
  }

  /** All that was written since the last time. */
  take(): WrittenTape {
    this.#putTogether()
    const written = {
      records: this.#records,
      cells: this.#cells.slice(0, this.#start),
      numbers: this.#numbers.slice(0, this.#numberStart),
      texts: JSON.stringify(this.#texts),
      ownTexts: this.#together.join(''),
    }
    this.#records = 0
    this.#start = 0
    this.#at = 0
    this.#numberStart = 0
    this.#numberAt = 0
    this.#texts = ['']
    // Not cleared: V8 links the table of old to the next one, and what has lived for long keeps alive what follows.
    this.#places = new Map()
    this.#before.fill('')
    this.#placesBefore.fill(EMPTY_TEXT)
    this.#ownTextsBefore = ''
    this.#together = []
    this.#known = []
    this.#characters = 0
    return written
  }

  #becomeCertain(): void {
    for (const known of this.#known) known.certain = known.all.length
    this.#hasNewFacts = false
  }

  #putTogether(): void {
    // A text that was added up becomes one in memory when one of its characters is asked for.
    if (Number.isNaN(this.#ownTexts.charCodeAt(0))) return
    this.#together.push(this.#ownTexts)
    this.#ownTexts = ''
  }

  #otherText(cell: number, value: string): number {
    const place = this.#placeOf(clip(value, MAX_TEXT))
    this.#before[cell] = value
    this.#placesBefore[cell] = place
    return place
  }

  #placeOf(text: string): number {
    const known = this.#places.get(text)
    if (known !== undefined) return known
    const place = this.#texts.push(text) - 1
    this.#places.set(text, place)
    this.#characters += text.length
    return place
  }
}

/** Of equal facts among the last that were written. */
function numberOf<T>(known: Known, kind: Kind<T>, facts: T): number | undefined {
  // What is there was put there by `shared`, for this kind.
  const { all, latest } = known as Known & { readonly all: readonly T[]; readonly latest: T | undefined }
  if (latest !== undefined && kind.isSame(latest, facts)) return known.number
  for (let number = all.length - 1; number >= Math.max(0, all.length - LOOKED_AT); number -= 1) {
    const one = all[number]
    if (one === undefined || !kind.isSame(one, facts)) continue
    known.latest = one
    known.number = number
    return number
  }
  return undefined
}

function twice<T extends Int32Array | Float64Array>(full: T, Kind: new (length: number) => T): T {
  const larger = new Kind(full.length * 2)
  larger.set(full)
  return larger
}

/** Gives back what a `Tape` was given, in the same order. */
export class TapeReader {
  readonly #cells: Int32Array
  readonly #numbers: Float64Array
  readonly #texts: readonly (string | undefined)[]
  readonly #ownTexts: string
  #at = 0
  #numberAt = 0
  #ownTextsAt = 0
  readonly #known: unknown[][] = []

  constructor({ cells, numbers, texts, ownTexts }: WrittenTape) {
    this.#cells = cells
    this.#numbers = numbers
    this.#texts = JSON.parse(texts) as readonly string[]
    this.#ownTexts = ownTexts
  }

  number(): number | undefined {
    const value = this.#numbers[this.#numberAt++]
    return Number.isFinite(value) ? value : undefined
  }

  flag(): boolean {
    return this.#cells[this.#at++] === 1
  }

  count(): number | undefined {
    const value = this.#cells[this.#at++]
    return value === NONE ? undefined : value
  }

  text(): string | undefined {
    return this.#texts[this.#cells[this.#at++] ?? NONE]
  }

  /** The very same object where they were the same again. */
  shared<T>(kind: Kind<T>): T {
    const number = this.count()
    // What is there was put there here.
    if (number !== undefined) return this.#known[kind.index]?.[number] as T
    const facts = kind.read(this)
    this.#known[kind.index] ??= []
    this.#known[kind.index]?.push(facts)
    return facts
  }

  /** Whoever keeps it keeps all of the tape's. */
  ownText(): string | undefined {
    const length = this.#cells[this.#at++] ?? NONE
    if (length === NONE) return undefined
    const start = this.#ownTextsAt
    this.#ownTextsAt += length
    return this.#ownTexts.slice(start, this.#ownTextsAt)
  }
}
