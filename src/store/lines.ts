/**
 * Texts, one a line, on their way to another thread: as bytes outside of V8's heap, which are handed over instead of
 * copied. As strings they live long enough to be moved by each young collection until they are sent.
 */

const CHUNK_BYTES = 256 * 1024

/** Of UTF-8, for one unit of UTF-16. */
const MAX_BYTES = 3

const NEWLINE = 10

export interface Lines {
  /** How many there are. */
  readonly count: () => number
  readonly bytes: () => number
  /** A text without line breaks, as JSON is. */
  readonly add: (text: string) => void
  /** So many texts as they came from `chunks` elsewhere. */
  readonly addChunk: (chunk: Uint8Array, count: number) => void
  /** All that was added since the last `clear`. */
  readonly chunks: () => readonly Uint8Array<ArrayBuffer>[]
  /** Lets go of the chunks: they belong to whoever has them. */
  readonly clear: () => void
}

export function createLines(): Lines {
  let full: Uint8Array<ArrayBuffer>[] = []
  let chunk = Buffer.alloc(0)
  let used = 0
  let count = 0
  let bytes = 0

  const chunks = () => (used === 0 ? full : [...full, chunk.subarray(0, used)])

  function makeRoom(needed: number): void {
    if (chunk.length - used >= needed) return
    full = [...chunks()]
    chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed))
    used = 0
  }

  return {
    count: () => count,
    bytes: () => bytes,
    add(text) {
      makeRoom(text.length * MAX_BYTES + 1)
      const written = chunk.write(text, used)
      chunk[used + written] = NEWLINE
      used += written + 1
      bytes += written + 1
      count += 1
    },
    addChunk(added, of) {
      makeRoom(added.length)
      chunk.set(added, used)
      used += added.length
      bytes += added.length
      count += of
    },
    chunks,
    clear() {
      full = []
      chunk = Buffer.alloc(0)
      used = 0
      count = 0
      bytes = 0
    },
  }
}

/** The texts again. */
export const readLines = (chunks: readonly Uint8Array[]): readonly string[] =>
  chunks.flatMap((chunk) =>
    Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength - 1)
      .toString()
      .split('\n'),
  )
