/** The ports where clients come in, as the configuration has them at the moment. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Bind } from './compile.ts'
import type { Settings } from './config/settings.ts'
import type { GatewayError } from './core/errors.ts'
import type { FlowEntry } from './flow.ts'
import { type Handled, type ListeningServer, listen, type TlsListener } from './listen/server.ts'

/** Opened, and not yet in use. */
export interface PreparedBinds {
  readonly adopt: () => void
  /** Closes what was opened. */
  readonly abandon: () => void
}

export interface Binds {
  /** Opens what is new; rejects when a port cannot be had, and then nothing has changed. */
  readonly prepare: (binds: readonly Bind[]) => Promise<PreparedBinds>
  /** By their keys. */
  readonly ports: () => BindPorts
  /** Takes no new connections. */
  readonly stop: () => void
  /** Closes connections that have nothing to do: of ports that go, or of all. */
  readonly closeIdle: (all: boolean) => void
  /** Closes all connections. */
  readonly destroy: () => Promise<void>
}

/** Ports as bound, by what `keysOf` calls them. */
export type BindPorts = Readonly<Record<string, number>>

export interface BindsOptions {
  readonly settings: Pick<Settings, 'enableIpv6' | 'http1IdleTimeoutMs'>
  /** Several processes listen, and the system spreads connections over them. */
  readonly reusePort?: boolean
  /** What a port with number 0 is to be, when others have chosen. */
  readonly portFor?: (key: string) => number | undefined
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, entry: FlowEntry) => Handled
  /** Its reply is already written. */
  readonly onBadRequest: (fault: GatewayError, socket: Socket, entry: FlowEntry) => void
  readonly onConnection: (socket: Socket, entry: Pick<FlowEntry, 'bind' | 'scheme'>) => void
}

interface OpenBind {
  bind: Bind
  /** Left out by a reload: what is under way may end. */
  isClosing: boolean
  readonly server: ListeningServer
}

export function tlsListeners(bind: Bind): readonly TlsListener[] | undefined {
  const secure = bind.listeners.flatMap(({ tls, host }) =>
    tls === undefined ? [] : [{ ...tls, fits: host.fits }],
  )
  return secure.length === 0 ? undefined : secure
}

/** Ports with number 0 are told apart by their place. */
export const keysOf = (binds: readonly Bind[]) =>
  binds.map(
    (bind, index) =>
      `${bind.port === 0 ? `#${index}` : bind.port}${tlsListeners(bind) === undefined ? '' : ' tls'}`,
  )

/** `undefined`: all interfaces, IPv6 included where the machine has it. */
export const hostFor = ({ enableIpv6 }: Pick<Settings, 'enableIpv6'>) => (enableIpv6 ? undefined : '0.0.0.0')

export function createBinds(options: BindsOptions): Binds {
  const { settings, reusePort = false, portFor = () => undefined } = options
  const open = new Map<string, OpenBind>()
  /** Closed to new connections by a reload, and not done yet. */
  const retired = new Set<OpenBind>()

  async function openBind(bind: Bind, port: number): Promise<OpenBind> {
    const tls = tlsListeners(bind)
    const scheme = tls === undefined ? 'http' : 'https'
    let entry: OpenBind | undefined
    const flowEntry = (): FlowEntry => ({
      bind: entry?.bind ?? bind,
      scheme,
      isClosing: entry?.isClosing ?? false,
    })
    const server = await listen({
      host: hostFor(settings),
      port,
      reusePort,
      tls,
      idleMs: settings.http1IdleTimeoutMs,
      onRequest: (request, response) => options.onRequest(request, response, flowEntry()),
      onBadRequest(fault, socket) {
        if (entry !== undefined) options.onBadRequest(fault, socket as Socket, flowEntry())
      },
      onConnection: (socket) => options.onConnection(socket, { bind, scheme }),
    })
    entry = { bind, server, isClosing: false }
    return entry
  }

  function retire(key: string, entry: OpenBind): void {
    open.delete(key)
    retired.add(entry)
    entry.isClosing = true
    entry.server.stop()
    entry.server.closed.then(() => retired.delete(entry))
  }

  return {
    async prepare(binds) {
      const keys = keysOf(binds)
      const isGone = (key: string) => !keys.includes(key)
      const added: [string, OpenBind][] = []
      const abandon = () => {
        for (const [, { server }] of added) server.stop()
      }
      try {
        for (const [index, bind] of binds.entries()) {
          const key = keys[index] ?? ''
          if (open.has(key)) continue
          // The same port with or without TLS: the one has to go before the other can come.
          for (const [oldKey, old] of open)
            if (old.bind.port === bind.port && isGone(oldKey) && !reusePort) retire(oldKey, old)
          added.push([key, await openBind(bind, portFor(key) ?? bind.port)])
        }
      } catch (error) {
        abandon()
        throw error
      }
      return {
        adopt() {
          for (const [index, bind] of binds.entries()) {
            const known = open.get(keys[index] ?? '')
            if (known === undefined) continue
            known.bind = bind
            const tls = tlsListeners(bind)
            if (tls !== undefined) known.server.setTls(tls)
          }
          for (const [key, entry] of open) if (isGone(key)) retire(key, entry)
          for (const [key, entry] of added) open.set(key, entry)
        },
        abandon,
      }
    },
    ports: () => Object.fromEntries([...open].map(([key, { server }]) => [key, server.port])),
    stop() {
      for (const { server } of open.values()) server.stop()
    },
    closeIdle(all) {
      for (const { server } of retired) server.closeIdle()
      if (all) for (const { server } of open.values()) server.closeIdle()
    },
    async destroy() {
      const all = [...open.values(), ...retired]
      for (const { server } of all) server.destroy()
      await Promise.all(all.map(({ server }) => server.closed))
    },
  }
}
