/** Content codings that bodies may come in. https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1 */
import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'

const DECODERS = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
])

/** `none` for a body as it is, `unknown` for a coding that is not known here. */
export function decoderFor(contentEncoding: string | undefined): Transform | 'none' | 'unknown' {
  const coding = contentEncoding?.trim().toLowerCase() ?? ''
  if (coding === '' || coding === 'identity') return 'none'
  return DECODERS.get(coding)?.() ?? 'unknown'
}
