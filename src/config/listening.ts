/**
 * Who listens where: `binds`, `gateways` with the top-level `routes`, and the sections `llm` and `mcp`, all in one form.
 *
 * What names no gateway belongs to the one that is called `default`. Without it a section has a port of its own.
 */
import type { Config, GatewayConfig, ListenerConfig, RouteConfig } from './schema.ts'

type KeyPath = readonly (string | number)[]

/** The same object at every listener that it is attached to. */
export interface AttachedRoute {
  readonly config: RouteConfig
  readonly index: number
  readonly path: KeyPath
  /** Where its limits are kept: no other route of the same name is there. */
  readonly place: string
  /** Of its listeners. */
  readonly hostnames: readonly string[]
}

export interface AttachedSection {
  readonly key: 'llm' | 'mcp'
  /** The port is not for it alone. */
  readonly isShared: boolean
}

export interface ListenerPlan {
  readonly name: string
  readonly hostname: string | undefined
  readonly tls: ListenerConfig['tls']
  readonly path: KeyPath
  readonly routes: readonly AttachedRoute[]
  readonly sections: readonly AttachedSection[]
}

export interface BindPlan {
  readonly port: number
  readonly listeners: readonly ListenerPlan[]
}

export const SECTION_PORTS = { mcp: 3000, llm: 4000 } as const
const DEFAULT = 'default'

export function listening(config: Config): BindPlan[] {
  return [...ofBinds(config), ...ofGateways(config), ...ofSections(config)]
}

const listed = <T>(value: T | undefined) => (value === undefined ? [] : [value])

function ofBinds({ binds = [] }: Config): BindPlan[] {
  return binds.map(({ port, listeners }, bind) => ({
    port,
    listeners: listeners.map((listener, index): ListenerPlan => {
      const path = ['binds', bind, 'listeners', index]
      return {
        name: listener.name ?? `listener${index}`,
        hostname: listener.hostname,
        tls: listener.tls,
        path,
        routes: (listener.routes ?? []).map((route, position) => ({
          config: route,
          index: position,
          path: [...path, 'routes', position],
          place: path.join(' '),
          hostnames: listed(listener.hostname),
        })),
        sections: [],
      }
    }),
  }))
}

type Listening = Omit<ListenerPlan, 'routes' | 'sections'>

function listenersOf(name: string, { tls, listeners }: GatewayConfig): Listening[] {
  const path = ['gateways', name]
  if (listeners === undefined) return [{ name: 'listener0', hostname: undefined, tls, path }]
  return listeners.map((listener, index) => ({
    name: listener.name ?? `listener${index}`,
    hostname: listener.hostname,
    tls: listener.tls,
    path: [...path, 'listeners', index],
  }))
}

/** `gateway`, or `gateway/listener`. */
const isNamed = (references: readonly string[], gateway: string, listener: string) =>
  references.some((reference) => reference === gateway || reference === `${gateway}/${listener}`)

function ofGateways(config: Config): BindPlan[] {
  const gateways = Object.entries(config.gateways ?? {}).map(([name, gateway]) => ({
    name,
    port: gateway.port,
    listeners: listenersOf(name, gateway),
  }))
  const routes = (config.routes ?? []).map((route, index) => {
    const { gateways: references = [DEFAULT], ...own } = route
    const hostnames = gateways.flatMap(({ name, listeners }) =>
      listeners.flatMap((listener) =>
        isNamed(references, name, listener.name) ? listed(listener.hostname) : [],
      ),
    )
    const place = ['routes', ...references].join(' ')
    const attached: AttachedRoute = { config: own, index, path: ['routes', index], place, hostnames }
    return { references, attached }
  })
  return gateways.map(({ name, port, listeners }) => ({
    port,
    listeners: listeners.map((listener) => ({
      ...listener,
      routes: routes.flatMap(({ references, attached }) =>
        isNamed(references, name, listener.name) ? [attached] : [],
      ),
      sections: (['mcp', 'llm'] as const).flatMap((key) =>
        isNamed(gatewaysOf(config, key), name, listener.name) ? [{ key, isShared: true }] : [],
      ),
    })),
  }))
}

/** Those that a section is attached to. */
function gatewaysOf({ gateways = {}, ...config }: Config, key: 'llm' | 'mcp'): readonly string[] {
  const section = config[key]
  if (section === undefined || section.port !== undefined) return []
  return section.gateways ?? (Object.hasOwn(gateways, DEFAULT) ? [DEFAULT] : [])
}

function ofSections(config: Config): BindPlan[] {
  return (['mcp', 'llm'] as const).flatMap((key) => {
    const section = config[key]
    if (section === undefined || gatewaysOf(config, key).length > 0) return []
    const listener = { name: key, hostname: undefined, tls: undefined, path: [key], routes: [] }
    const sections = [{ key, isShared: false }]
    return [{ port: section.port ?? SECTION_PORTS[key], listeners: [{ ...listener, sections }] }]
  })
}
