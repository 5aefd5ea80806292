/**
 * `binds` -> `gateways` and top-level `routes`, in the text: quotes, anchors and references to the environment stay.
 *
 * What had a name by its place keeps it, because metrics, logs and traces have it.
 */
import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { SECTION_PORTS } from './listening.ts'

/** `text` is a valid configuration. */
export function migrated(text: string): string {
  // In `{port: ${PORT}}` the braces are no YAML.
  const references: string[] = []
  const masked = text.replace(/\$\{[^}]*\}/g, (reference) => `__reference${references.push(reference) - 1}__`)
  const document = parseDocument(masked)
  if (!isMap(document.contents) || !isSeq(document.get('binds'))) return text
  migrate(document, document.contents)
  return document
    .toString({ lineWidth: 0 })
    .replace(/__reference(\d+)__/g, (whole, index: string) => references[Number(index)] ?? whole)
}

function migrate(document: Document, file: YAMLMap): void {
  const gateways = mapAt(document, file, 'gateways')
  const routes = seqAt(document, file, 'routes')
  resolveAliases(document, file.get('binds'))
  for (const key of ['mcp', 'llm'] as const) keepPort(file, gateways, key)
  for (const bind of mapsIn(file.get('binds'))) addGateway(document, bind, { gateways, routes })
  file.delete('binds')
  if (routes.items.length === 0) file.delete('routes')
}

/** A route that stands in two places becomes two: each says where it is. */
function resolveAliases(document: Document, binds: unknown): void {
  if (!isSeq(binds)) return
  visit(binds, {
    Alias(_, alias, path) {
      const isMoved = path.every(
        (place) => !isPair(place) || (isScalar(place.key) && MOVED.has(place.key.value)),
      )
      const node = isMoved ? alias.resolve(document)?.clone() : undefined
      if (!isMap(node) && !isSeq(node)) return undefined
      delete node.anchor
      return node
    },
  })
}

const MOVED: ReadonlySet<unknown> = new Set(['listeners', 'routes'])

interface Target {
  readonly gateways: YAMLMap
  readonly routes: YAMLSeq
}

function addGateway(document: Document, bind: YAMLMap, { gateways, routes }: Target): void {
  const name = freeName(gateways)
  const listeners = mapsIn(bind.get('listeners'))
  const isPlain = listeners.length === 1 && listeners.every((one) => !one.has('name') && !one.has('hostname'))
  for (const [index, listener] of listeners.entries()) {
    const own = nameOf(listener) ?? `listener${index}`
    const gateway = isPlain ? name : `${name}/${own}`
    for (const [position, route] of mapsIn(listener.get('routes')).entries()) {
      if (!route.has('name') && position !== routes.items.length) route.set('name', `route${position}`)
      if (gateway !== 'default') route.set('gateways', gateway)
      routes.add(route)
    }
    listener.delete('routes')
  }
  const [only] = listeners
  if (isPlain && only !== undefined) {
    bind.delete('listeners')
    for (const pair of only.items) bind.add(pair)
  }
  gateways.set(document.createNode(name), bind)
}

/** A section without a port must not move to a gateway that was not there before. */
function keepPort(file: YAMLMap, gateways: YAMLMap, key: 'mcp' | 'llm'): void {
  const section = file.get(key)
  if (!isMap(section) || section.has('port') || section.has('gateways') || gateways.has('default')) return
  section.set('port', SECTION_PORTS[key])
}

function freeName(gateways: YAMLMap): string {
  if (!gateways.has('default')) return 'default'
  let number = 2
  while (gateways.has(`gateway${number}`)) number++
  return `gateway${number}`
}

function nameOf(listener: YAMLMap): string | undefined {
  const name = listener.get('name', true)
  return isScalar(name) ? String(name.value) : undefined
}

const mapsIn = (list: unknown): YAMLMap[] => (isSeq(list) ? list.items.filter(isMap) : [])

/** Where it is, else in the place of `binds`. */
function mapAt(document: Document, file: YAMLMap, key: string): YAMLMap {
  const there = file.get(key)
  if (isMap(there)) return there
  const made = document.createNode({})
  made.flow = false
  insert(document, file, key, made)
  return made
}

function seqAt(document: Document, file: YAMLMap, key: string): YAMLSeq {
  const there = file.get(key)
  if (isSeq(there)) return there
  const made = document.createNode([])
  made.flow = false
  insert(document, file, key, made)
  return made
}

function insert(document: Document, file: YAMLMap, key: string, value: YAMLMap | YAMLSeq): void {
  const at = file.items.findIndex((pair) => isScalar(pair.key) && pair.key.value === 'binds')
  file.items.splice(at, 0, document.createPair(key, value))
}
