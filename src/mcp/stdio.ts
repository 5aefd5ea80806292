/**
 * A target that is a child process and speaks over its standard streams: a line is a message.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 *
 * What such a process prints is not to be trusted: lines that are no JSON-RPC are passed over, an answer that is none
 * fails its request at once, and of its standard error the log gets the last lines when it dies. It leads a process
 * group of its own, so that ending it also ends what it has started.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { isObject, type RpcMessage, readMessage } from './json-rpc.ts'
import { lineSplitter } from './lines.ts'
import { TargetError, type Transport, type TransportEvents } from './transport.ts'

export interface StdioOptions {
  readonly command: string
  readonly args: readonly string[]
  /** The whole environment of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Largest message that is held in memory. */
  readonly maxBytes: number
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** What is kept of standard error, for the log. */
const STDERR_CHARS = 4000
/** What a process gets to end by itself once its input has ended, and once more when it is told to. */
const GRACE_MS = 1000

export function stdio(options: StdioOptions, events: TransportEvents): Transport {
  const { command } = options
  let child: Child | undefined
  let exited: Promise<void> = Promise.resolve()
  let isClosed = false
  let stderr = ''

  function closed(error: TargetError): void {
    if (isClosed) return
    isClosed = true
    events.onClosed(error)
  }

  function about(what: string): string {
    const said = stderr.trim().split('\n').slice(-3).join('\n')
    return said === '' ? `${command}: ${what}` : `${command}: ${what}; it said last: ${said}`
  }

  function received(line: string): void {
    if (line.trim() === '') return
    let parsed: unknown
    try {
      parsed = JSON.parse(line)
    } catch {
      events.onNoise('not JSON', { line: line.slice(0, 200) })
      return
    }
    for (const one of Array.isArray(parsed) ? parsed : [parsed]) {
      const message = readMessage(one)
      if (typeof message !== 'string') events.onMessage(message, undefined)
      else if (isObject(one) && one.method === undefined && isId(one.id))
        events.onLost(
          one.id,
          new TargetError('unexpected_response', `${command}: not a JSON-RPC answer: ${message}`),
        )
      else events.onNoise('not a JSON-RPC message', { detail: message })
    }
  }

  function listen(process: Child): void {
    const splitter = lineSplitter(options.maxBytes)
    process.stdout.on('data', (chunk: Buffer) => {
      if (isClosed) return
      try {
        for (const line of splitter.push(chunk)) received(line)
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause)
        closed(new TargetError('unexpected_response', `${command}: ${detail}`, { cause }))
        end().catch(() => {})
      }
    })
    process.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8', Math.max(0, chunk.length - STDERR_CHARS))).slice(
        -STDERR_CHARS,
      )
    })
    // Of a process that is gone; its exit tells.
    process.stdin.on('error', () => {})
    process.stdout.on('error', () => {})
  }

  function signal(process: Child, name: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = process
    if (pid === undefined) return
    try {
      globalThis.process.kill(-pid, name)
    } catch {
      // All of them are gone.
    }
  }

  async function end(): Promise<void> {
    const process = child
    if (process === undefined) return
    process.stdin.end()
    if (!(await within(exited, GRACE_MS))) {
      signal(process, 'SIGTERM')
      await within(exited, GRACE_MS)
    }
    // Also what it has left behind.
    signal(process, 'SIGKILL')
    await exited
    process.stdout.destroy()
    process.stderr.destroy()
  }

  return {
    open: () =>
      new Promise((resolve, reject) => {
        const started = spawn(command, options.args, {
          env: options.environment,
          stdio: ['pipe', 'pipe', 'pipe'],
          detached: true,
          windowsHide: true,
        })
        started.once('error', (cause) => {
          const error = new TargetError('transport_error', `cannot start ${command}: ${cause.message}`, {
            cause,
          })
          reject(error)
          closed(error)
        })
        started.once('spawn', () => {
          child = started
          exited = new Promise((gone) => started.once('exit', () => gone()))
          listen(started)
          // What it printed last may still be on its way when it is gone; what it has started may hold its output open.
          exited.then(() =>
            setTimeout(
              () => closed(new TargetError('transport_error', about('the process ended'))),
              DRAIN_MS,
            ),
          )
          started.once('close', () => closed(new TargetError('transport_error', about('the process ended'))))
          resolve()
        })
      }),
    async send(message: RpcMessage) {
      const process = child
      if (process === undefined || isClosed)
        throw new TargetError('transport_error', about('the process has ended'))
      if (process.stdin.writableLength > options.maxBytes)
        throw new TargetError('transport_error', about('the process does not read its input'))
      process.stdin.write(`${JSON.stringify(message)}\n`)
    },
    negotiated() {},
    listen() {},
    abandon() {},
    async close() {
      closed(new TargetError('unavailable', 'the session was ended'))
      await end()
    },
    sessionId: () => undefined,
  }
}

const DRAIN_MS = 100

const isId = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'

/** True when it came in time. */
async function within(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds)
  })
  const inTime = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return inTime
}
