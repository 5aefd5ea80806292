/** Rules of `gateways` that no single place of the schema can state: what refers to them, and who has which port. */
import { SECTION_PORTS } from './listening.ts'
import { child, children, duplicates, members, missing, type Placed } from './places.ts'
import type { Finding } from './problem.ts'

/** They stand at the top level, and listen. */
export const SECTIONS = ['mcp', 'llm'] as const

export function gatewayChecks(file: Placed): Finding[] {
  const gateways = members(file, 'gateways')
  const sections = SECTIONS.flatMap((key) => {
    const section = child(file, key)
    return section === undefined ? [] : [{ key, section }]
  })
  const named = gateways.flatMap(namesOf)
  const hasDefault = gateways.some(({ key }) => key === 'default')
  const ports = sections.flatMap(({ key, section }) => {
    const { port, gateways: references } = section.value
    const isAttached = port === undefined && (references !== undefined || hasDefault)
    // Whether it says so or not.
    return isAttached ? [] : [{ ...section, value: { port: port ?? SECTION_PORTS[key] } }]
  })
  const routes = children(file, 'routes')
  return [
    ...duplicates(
      [...children(file, 'binds'), ...gateways.map(({ place }) => place), ...ports],
      'port',
      'port',
      (port) => port === 0,
    ),
    ...gateways.flatMap(({ place }) => duplicates(children(place, 'listeners'), 'name', 'listener name')),
    ...[...routes, ...sections.map(({ section }) => section)].flatMap((one) => references(one, named)),
    ...routes.flatMap((route) => (hasDefault ? [] : homeless(route))),
    ...sections.flatMap(({ section }) => eitherPortOrGateways(section)),
  ]
}

/** What may be referred to: `gateway`, `gateway/listener`. */
function namesOf({ key, place }: { readonly key: string; readonly place: Placed }): Placed[] {
  const listeners = children(place, 'listeners').map(({ value }, index) => value.name ?? `listener${index}`)
  return [key, ...listeners.map((name) => `${key}/${name}`)].map((name) => ({ ...place, value: { name } }))
}

function references({ path, value }: Placed, named: readonly Placed[]): Finding[] {
  const { gateways } = value
  const what = (name: string) => `there is no gateway \`${name}\` in \`gateways\``
  const at = [...path, 'gateways']
  return Array.isArray(gateways)
    ? gateways.flatMap((name, index) => missing(name, named, { path: [...at, index], what }))
    : missing(gateways, named, { path: at, what })
}

function homeless({ path, value }: Placed): Finding[] {
  if (value.gateways !== undefined) return []
  const message = 'the route would be nowhere: it names no `gateways`, and none is called `default`'
  return [{ path, message }]
}

function eitherPortOrGateways({ path, value }: Placed): Finding[] {
  if (value.port === undefined || value.gateways === undefined) return []
  const message = '`port` and `gateways` exclude each other: keep one'
  return [{ path: [...path, 'gateways'], message, atKey: true }]
}
