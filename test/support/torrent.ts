/**
 * A provider of one very long OpenAI stream, written as fast as it is read: how far it got shows how much the
 * gateway has taken. The simulated providers tokenize what they say, which takes seconds at this length.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { constants, createGzip } from 'node:zlib'

export interface Torrent {
  readonly port: number
  /** Bytes of the whole stream, before compression. */
  readonly size: number
  readonly streams: readonly TorrentStream[]
  readonly waitFor: (predicate: (streams: readonly TorrentStream[]) => boolean) => Promise<void>
  readonly close: () => void
}

export interface TorrentStream {
  /** Bytes that were handed to the socket, before compression. */
  readonly written: number
  /** Stands still because nobody reads. */
  readonly waiting: boolean
  readonly ended: 'whole' | 'cut' | undefined
}

const PIECE = 64 * 1024

function eventOf(delta: object, more: object = {}): Buffer {
  const chunk = {
    id: 'chatcmpl-torrent',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-4o-mini',
    ...more,
  }
  return Buffer.from(
    `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`,
  )
}

const EVENT = eventOf({ content: 'water '.repeat(PIECE / 6) })
const END = Buffer.from(
  `data: {"id":"chatcmpl-torrent","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`,
)

/** Answers any request; with `x-gzip: 1` compressed. */
export async function startTorrent(size: number): Promise<Torrent> {
  const streams: { written: number; waiting: boolean; ended: TorrentStream['ended'] }[] = []
  const watching = new Set<() => void>()
  const changed = () => {
    for (const check of watching) check()
  }

  async function pour(response: ServerResponse, compressed: boolean) {
    const stream: (typeof streams)[number] = { written: 0, waiting: false, ended: undefined }
    streams.push(stream)
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      ...(compressed && { 'content-encoding': 'gzip' }),
    })
    const gone = new Promise<void>((resolve) => response.once('close', resolve))
    const target = compressed ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : response
    if (target !== response) target.pipe(response)
    while (stream.written < size && !response.destroyed) {
      const hasRoom = target.write(EVENT)
      stream.written += EVENT.length
      if (hasRoom) continue
      stream.waiting = true
      changed()
      await Promise.race([gone, new Promise<void>((resolve) => target.once('drain', resolve))])
      stream.waiting = false
      changed()
    }
    target.end(END)
    await gone
    stream.ended = response.writableFinished ? 'whole' : 'cut'
    changed()
  }

  const server = createServer((request, response) => {
    request.resume()
    void pour(response, request.headers['x-gzip'] === '1')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    size,
    streams,
    waitFor: (predicate) =>
      new Promise((resolve) => {
        function check() {
          if (!predicate(streams)) return
          watching.delete(check)
          resolve()
        }
        watching.add(check)
        check()
      }),
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
