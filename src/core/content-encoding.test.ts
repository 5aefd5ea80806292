import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { decoderFor } from './content-encoding.ts'

const TEXT = Buffer.from('é…🙂 '.repeat(1000))

test.each([
  { coding: 'gzip', bytes: gzipSync(TEXT) },
  { coding: 'x-gzip', bytes: gzipSync(TEXT) },
  { coding: 'deflate', bytes: deflateSync(TEXT) },
  { coding: 'br', bytes: brotliCompressSync(TEXT) },
  { coding: 'zstd', bytes: zstdCompressSync(TEXT) },
  { coding: ' GZip ', bytes: gzipSync(TEXT) },
])('it undoes $coding', async ({ coding, bytes }) => {
  const decoder = decoderFor(coding)
  if (typeof decoder === 'string') throw new Error(decoder)
  expect(await buffer(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]).pipe(decoder))).toEqual(TEXT)
})

test.each([undefined, '', ' ', 'identity', 'Identity'])('it leaves %j as it is', (coding) => {
  expect(decoderFor(coding)).toBe('none')
})

test.each(['compress', 'gzip, br', 'gzip2', 'constructor', 'toString', '__proto__', 'hasOwnProperty'])(
  'it does not know %j',
  (coding) => {
    expect(decoderFor(coding)).toBe('unknown')
  },
)
