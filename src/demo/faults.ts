/** The ways in which a provider, or something on the way to it, breaks HTTP. */
import type { ServerResponse } from 'node:http'
import type { Answer } from './answer.ts'
import type { Caller } from './caller.ts'

/** Not JSON, not UTF-8, not an event. */
export const GARBAGE = Buffer.concat([
  Buffer.from('data: {"id":"chatcmpl-broken","choices":[{"index":0,"del\n\n<html><h1>502 Bad Gateway</h1>'),
  Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x00, 0x80]),
  Buffer.from('\n\ndata: }{\n\n'),
])

export const GARBAGE_HTTP = 'SSH-2.0-OpenSSH_9.9\r\nProtocol mismatch.\r\n'

/** 64 kB: clients refuse a head of more than 16 kB unless told otherwise. */
export const BIG_HEADERS: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from({ length: 16 }, (_, index) => [`x-padding-${index}`, 'p'.repeat(4096)]),
)

/** The peer sees ECONNRESET, not the end of the stream. */
export function breakConnection(response: ServerResponse) {
  const { socket } = response
  if (socket === null) return
  // A TLS socket cannot send a reset of its own; closing without the farewell is what its peer sees as one.
  if ('encrypted' in socket) socket.destroy()
  else socket.resetAndDestroy()
}

const PIECES = 8

/** Writes head and unary body by hand, the head in pieces. Node's own writer cannot be slow inside a head. */
export async function dribble(response: ServerResponse, caller: Caller, answer: Answer, pauseMs: number) {
  const { socket } = response
  if (socket === null) return
  const text =
    answer.body.kind === 'unary' ? answer.body.text : answer.body.frames.map((frame) => frame.text).join('')
  const body = Buffer.from(text)
  const headers = { ...answer.headers, 'content-length': body.length, connection: 'close' }
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => `${name}: ${one}\r\n`),
  )
  const head = `HTTP/1.1 ${answer.status} OK\r\n${lines.join('')}\r\n`
  const size = Math.ceil(head.length / PIECES)
  for (let from = 0; from < head.length && !caller.gone; from += size) {
    socket.write(head.slice(from, from + size))
    await caller.pause(pauseMs)
  }
  await new Promise<void>((resolve) => socket.end(body, () => resolve()))
}
