/**
 * A target that is a child process and speaks over its standard streams, by the SDK's own transport.
 *
 * What such a server prints is not to be trusted: lines that are no JSON-RPC go to the log and are passed over, and
 * of its standard error the log gets the last lines when it dies, not all.
 */
import { isObject, type RpcMessage, readMessage } from './json-rpc.ts'
import { TargetError, type Transport, type TransportEvents } from './transport.ts'

export interface StdioOptions {
  readonly command: string
  readonly args: readonly string[]
  /** The whole environment of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Largest message that is held in memory. */
  readonly maxBytes: number
}

/** What is kept of standard error, for the log. */
const STDERR_CHARS = 4000

/** What the SDK would inherit by itself; named here to be left out where the configuration says so. */
const INHERITED = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER']

export function stdio(options: StdioOptions, events: TransportEvents): Transport {
  let transport: import('@modelcontextprotocol/client/stdio').StdioClientTransport | undefined
  let isClosed = false
  let stderr = ''
  let lastError = ''

  function closed(error: TargetError): void {
    if (isClosed) return
    isClosed = true
    events.onClosed(error)
  }

  const about = (what: string) => {
    const said = stderr.trim().split('\n').slice(-3).join('\n')
    return said === '' ? what : `${what}; it said last: ${said}`
  }

  return {
    async open() {
      // Loaded when there is such a target: nobody else needs it in memory.
      const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio')
      const environment = Object.fromEntries([
        ...INHERITED.map((name) => [name, undefined]),
        ...Object.entries(options.environment),
      ]) as Record<string, string>
      const child = new StdioClientTransport({
        command: options.command,
        args: [...options.args],
        env: environment,
        stderr: 'pipe',
        maxBufferSize: options.maxBytes,
      })
      transport = child
      child.stderr?.on('data', (chunk: Buffer) => {
        stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_CHARS)
      })
      child.onmessage = (raw: unknown) => {
        const message = isObject(raw) ? readMessage(raw) : 'not an object'
        if (typeof message === 'string') events.onNoise('not a JSON-RPC message', { detail: message })
        else events.onMessage(message, undefined)
      }
      child.onerror = (error) => {
        lastError = error.message
        events.onNoise('unusable output', { error: error.message.slice(0, 500) })
      }
      child.onclose = () =>
        closed(new TargetError('transport_error', about(`${options.command}: the process ended`)))
      try {
        await child.start()
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause)
        throw new TargetError('transport_error', `cannot start ${options.command}: ${detail}`, { cause })
      }
    },
    async send(message: RpcMessage) {
      if (transport === undefined || isClosed)
        throw new TargetError(
          'transport_error',
          about(`${options.command}: the process has ended${lastError && ` (${lastError})`}`),
        )
      // The SDK's type knows fewer shapes of results than servers have.
      const sent: Parameters<typeof transport.send>[0] = JSON.parse(JSON.stringify(message))
      await transport.send(sent)
    },
    negotiated() {},
    listen() {},
    abandon() {},
    async close() {
      closed(new TargetError('cancelled', 'the session is closed'))
      await transport?.close()
    },
    sessionId: () => undefined,
  }
}
