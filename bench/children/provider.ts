/**
 * A process of its own: the simulated provider's answers from as little code as can send them.
 *
 * It shares a CPU with the load generator, so what it costs is missing there: bare sockets, one timer for all streams.
 * The first chunk of a stream comes at once, the others at their times, until there are enough of them or, of streams
 * without end, until somebody asks for `/finish`. Arguments: the script in JSON, the port. Prints its port.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { z } from 'zod'
import { now } from '../clock.ts'
import { markOf } from '../marks.ts'
import { recordAnswers, type Streamed, type Whole } from './frames.ts'
import { timerWheel } from './timer-wheel.ts'

const scriptSchema = z.strictObject({
  /** Of each stream; undefined: until it is finished. */
  chunks: z.int().positive().optional(),
  chunkDelayMs: z.number().positive().default(5),
})
export type ProviderScript = z.input<typeof scriptSchema>

const script = scriptSchema.parse(JSON.parse(process.argv[2] ?? '{}'))
const answers = await recordAnswers()
const wheel = timerWheel()
const wholes = { chat: wholeOf(answers.chat.whole), messages: wholeOf(answers.messages.whole) }
const finished = 'HTTP/1.1 204 No Content\r\n\r\n'
let isFinishing = false
let openStreams = 0

function wholeOf({ head, body }: Whole): string {
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

const framed = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

function stream(socket: Socket, { head, opening, before, after, closing }: Streamed): void {
  const beganAt = now()
  let sequence = 0
  openStreams++
  const chunk = () => `${before}${markOf(sequence++, now())}${after}`
  const isOver = () => (script.chunks === undefined ? isFinishing : sequence >= script.chunks)

  function next(): void {
    if (socket.destroyed) {
      if (--openStreams === 0) isFinishing = false
      return
    }
    if (!isOver()) {
      socket.write(framed(chunk()), 'latin1')
      wheel.at(beganAt + sequence * script.chunkDelayMs, next)
      return
    }
    socket.write(`${framed(closing)}0\r\n\r\n`, 'latin1')
    if (--openStreams === 0) isFinishing = false
  }
  socket.write(`${head}transfer-encoding: chunked\r\n\r\n${framed(opening)}${framed(chunk())}`, 'latin1')
  wheel.at(beganAt + script.chunkDelayMs, next)
}

/** Bodies are skipped, but for what tells whether a stream is wanted. */
const STREAM_WANTED = /"stream"\s*:\s*true/
const NOTHING = Buffer.alloc(0)
const LOOKED_AT = 16 * 1024
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

function serve(socket: Socket): void {
  let held: Buffer = NOTHING
  let toSkip = 0

  function answer(head: string, body: string): void {
    if (head.startsWith('POST /finish')) {
      isFinishing = openStreams > 0
      socket.write(finished)
      return
    }
    const api = head.includes('/messages') ? 'messages' : 'chat'
    if (STREAM_WANTED.test(body)) stream(socket, answers[api].stream)
    else socket.write(wholes[api], 'latin1')
  }

  /** Of a body that is too long to be a stream's, only the end has to come. */
  function skip(piece: Buffer): void {
    toSkip -= piece.length
    if (toSkip <= 0) answer('', '')
  }

  function read(piece: Buffer): void {
    if (toSkip > 0) {
      skip(piece)
      return
    }
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    const end = held.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = held.toString('latin1', 0, end)
    const begins = end + 4
    // Some proxies send a body on before they know its length.
    const isChunked = /\r\ntransfer-encoding: *chunked/i.test(head)
    if (isChunked && !held.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) return
    const bodyLength = isChunked
      ? held.length - begins
      : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    const have = held.length - begins
    if (bodyLength > LOOKED_AT && have < bodyLength) {
      toSkip = bodyLength - have
      held = NOTHING
    } else if (have >= bodyLength) {
      const body = held.toString('latin1', begins, begins + Math.min(bodyLength, LOOKED_AT))
      held = held.subarray(begins + bodyLength)
      answer(head, body)
    }
  }

  socket.setNoDelay(true)
  socket.on('data', read)
  socket.on('error', () => socket.destroy())
}

const server = createServer(serve)
server.listen({ port: Number(process.argv[3] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port)
})
