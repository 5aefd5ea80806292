/** A plain request's body, whole and as it came, or not at all. */
import type { IncomingMessage } from 'node:http'

/**
 * Calls back once; with undefined where there is more than `limit`: the request then is as if nobody had read of it.
 * A client that goes away calls back never.
 */
export function holdBody(
  request: IncomingMessage,
  limit: number,
  done: (body: Buffer | undefined) => void,
): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) {
    done(undefined)
    return
  }
  const pieces: Buffer[] = []
  let length = 0
  const stop = () => request.off('data', take).off('end', finish)
  function take(piece: Buffer): void {
    pieces.push(piece)
    length += piece.length
    if (length <= limit) return
    stop()
    request.pause()
    request.unshift(Buffer.concat(pieces, length))
    done(undefined)
  }
  function finish(): void {
    stop()
    done(Buffer.concat(pieces, length))
  }
  request.on('data', take).on('end', finish)
}
