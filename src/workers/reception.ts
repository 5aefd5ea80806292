/**
 * Where the primary takes requests that workers pass on: a socket that only this user's processes can reach.
 *
 * A connection is a worker's, not a client's: it serves one client's request after another's.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Origin } from '../listen/incoming.ts'
import { readIntroduction } from './introduction.ts'

/** Told to workers, and to nobody else. */
export interface ReceptionAddress {
  /** Of a unix socket, or of a named pipe. */
  readonly path: string
  readonly secret: string
}

export interface Reception {
  readonly address: ReceptionAddress
  /** What is under way is cut. */
  readonly close: () => Promise<void>
}

export interface Received {
  /** `bind/3000` */
  readonly bind: string
  /** Among those of the configuration. */
  readonly place: number
  readonly origin: Origin
}

/** Of the client's own headers, which the worker's listener has limited, and the worker's; and of answers. */
export const MAX_HEADER_BYTES = 128 * 1024
const SECRET_BYTES = 32

/** The longest that a system takes for a socket is some 100 bytes. */
const MAX_TMP_BYTES = 60

interface Place {
  readonly path: string
  /** Has nothing else in it. */
  readonly folder: string | undefined
}

async function choosePlace(): Promise<Place> {
  const unguessable = `agentgateway-${randomBytes(SECRET_BYTES).toString('hex')}`
  if (process.platform === 'win32') return { path: `\\\\.\\pipe\\${unguessable}`, folder: undefined }
  const tmp = Buffer.byteLength(tmpdir()) > MAX_TMP_BYTES ? '/tmp' : tmpdir()
  try {
    // Made for its owner only.
    const folder = await mkdtemp(join(tmp, 'agentgateway-'))
    return { path: join(folder, 'workers.sock'), folder }
  } catch (error) {
    if (process.platform !== 'linux') throw error
    // Nothing can be written here, as in many containers: a socket without a file, which has only the secret.
    return { path: `\0${unguessable}`, folder: undefined }
  }
}

export async function openReception(
  onRequest: (request: IncomingMessage, response: ServerResponse, received: Received) => void,
): Promise<Reception> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const { path, folder } = await choosePlace()
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: 0,
      // Workers close what they need no more: none is closed while a request is on its way.
      keepAliveTimeout: 0,
      requireHostHeader: false,
    },
    take,
  )
  function take(request: IncomingMessage, response: ServerResponse): void {
    const received = readIntroduction(request, secret)
    if (received === undefined) request.socket.destroy()
    else onRequest(request, response, received)
  }
  server.maxHeadersCount = 0
  server.on('checkContinue', take)
  server.on('checkExpectation', take)
  server.on('clientError', (_, socket) => socket.destroy())
  server.listen(path)
  await once(server, 'listening')
  server.on('error', () => {})
  /** Also when the process ends in another way. */
  const remove = () => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', remove)
  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
    process.off('exit', remove)
    remove()
  }
  return {
    address: { path, secret },
    close() {
      closing ??= close()
      return closing
    },
  }
}
