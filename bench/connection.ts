/**
 * One keep-alive HTTP/1.1 connection that costs its process as little as possible.
 *
 * The load generator shares a CPU with the upstream: what it saves, the measurement gains. Reads just enough to know
 * where an answer ends; knows no trailers, no `100 Continue` and no answer that ends with the connection.
 */
import { connect as connectSocket } from 'node:net'

export interface Address {
  readonly host: string
  readonly port: number
}

export const local = (port: number): Address => ({ host: '127.0.0.1', port })

export interface Connection {
  /** Resolves with the status when the answer is whole. One request at a time. */
  readonly request: (bytes: Buffer, onBody?: (piece: Buffer) => void) => Promise<number>
  readonly close: () => void
}

interface Pending {
  readonly onBody: ((piece: Buffer) => void) | undefined
  readonly resolve: (status: number) => void
  readonly reject: (error: Error) => void
}

/** `chunk-size`: a line is due. `chunk`: `left` bytes and then a line end. */
type Phase = 'head' | 'length' | 'chunk-size' | 'chunk' | 'last'

const NOTHING = Buffer.alloc(0)
const HEAD_END = Buffer.from('\r\n\r\n')
const LINE_END = Buffer.from('\r\n')

export function connect({ host, port }: Address): Promise<Connection> {
  const socket = connectSocket({ host, port, noDelay: true })
  let held: Buffer = NOTHING
  let phase: Phase = 'head'
  let left = 0
  let status = 0
  let pending: Pending | undefined
  let broken: Error | undefined

  function finish(): void {
    const { resolve } = pending ?? {}
    pending = undefined
    phase = 'head'
    resolve?.(status)
  }

  function readHead(): boolean {
    const end = held.indexOf(HEAD_END)
    if (end < 0) return false
    const head = held.toString('latin1', 0, end).toLowerCase()
    held = held.subarray(end + HEAD_END.length)
    status = Number(head.slice(9, 12))
    if (head.includes('\r\ntransfer-encoding: chunked')) phase = 'chunk-size'
    else {
      left = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0)
      phase = 'length'
    }
    return true
  }

  function readBody(): boolean {
    const piece = held.subarray(0, left)
    left -= piece.length
    held = held.subarray(piece.length)
    if (piece.length > 0) pending?.onBody?.(piece)
    return left === 0
  }

  function readChunkSize(): boolean {
    const end = held.indexOf(LINE_END)
    if (end < 0) return false
    left = Number.parseInt(held.toString('latin1', 0, end), 16)
    held = held.subarray(end + LINE_END.length)
    phase = left === 0 ? 'last' : 'chunk'
    return true
  }

  function skipLineEnd(): boolean {
    if (held.length < LINE_END.length) return false
    held = held.subarray(LINE_END.length)
    return true
  }

  /** False when more bytes are needed. */
  function step(): boolean {
    switch (phase) {
      case 'head':
        return readHead()
      case 'length':
        if (!readBody()) return false
        finish()
        return false
      case 'chunk-size':
        return readChunkSize()
      case 'chunk':
        if (!readBody() || !skipLineEnd()) return false
        phase = 'chunk-size'
        return true
      case 'last':
        if (!skipLineEnd()) return false
        finish()
        return false
      default:
        return phase satisfies never
    }
  }

  socket.on('data', (piece) => {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    while (step());
  })
  function fail(error: Error): void {
    broken = error
    pending?.reject(error)
    pending = undefined
  }
  socket.on('error', fail)
  socket.on('close', () => fail(broken ?? new Error('the connection was closed')))

  const connection: Connection = {
    request: (bytes, onBody) =>
      new Promise((resolve, reject) => {
        if (broken !== undefined) {
          reject(broken)
          return
        }
        pending = { onBody, resolve, reject }
        socket.write(bytes)
      }),
    close: () => socket.destroy(),
  }
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(connection))
    socket.once('error', reject)
  })
}

export const connectAll = (address: Address, count: number) =>
  Promise.all(Array.from({ length: count }, () => connect(address)))
