/** Bytes to lines, each byte looked at once: a line of megabytes that comes in small pieces costs linear time. */

export interface LineSplitter {
  /** The lines that this chunk completes, without their ends. Throws `RangeError` when one exceeds the limit. */
  readonly push: (chunk: Buffer) => readonly string[]
}

const LF = 0x0a

export function lineSplitter(maxBytes: number): LineSplitter {
  let pieces: Buffer[] = []
  let held = 0

  function take(last: Buffer): string {
    const line = pieces.length === 0 ? last : Buffer.concat([...pieces, last])
    pieces = []
    held = 0
    return line.toString('utf8').replace(/\r$/, '')
  }

  return {
    push(chunk) {
      const lines: string[] = []
      let start = 0
      for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
        lines.push(take(chunk.subarray(start, end)))
        start = end + 1
      }
      if (start < chunk.length) {
        held += chunk.length - start
        if (held > maxBytes) throw new RangeError(`a line exceeds ${maxBytes} bytes`)
        pieces.push(chunk.subarray(start))
      }
      return lines
    },
  }
}
