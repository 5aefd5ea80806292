/** What is allowed and most likely not what was meant. */
import { child, children, descend, isData, type Placed } from './places.ts'
import type { Path } from './problem.ts'
import { IGNORED_CONFIG_KEYS } from './schema.ts'

const inWords = (path: Path) =>
  path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('')

/** Policies in places where they are allowed, and nothing comes of them. */
function withoutEffect(file: Placed): string[] {
  const routes = [file, ...children(file, 'binds').flatMap((bind) => children(bind, 'listeners'))].flatMap(
    (place) => children(place, 'routes'),
  )
  const healthless = [
    ...children(file, 'backends'),
    ...routes.flatMap((route) => children(route, 'backends')),
  ]
    .filter(
      ({ value }) =>
        value.backend === undefined && !Array.isArray(child({ path: [], value }, 'ai')?.value.groups),
    )
    .flatMap((backend) => [descend(backend, 'policies'), descend(backend, 'ai', 'policies')])
    .filter((policies) => policies?.value.health !== undefined)
    .map((policies) => `${inWords(policies?.path ?? [])}.health has no effect: there is nobody else to ask`)
  const mcp = [
    child(file, 'mcp'),
    ...routes.filter((route) => children(route, 'backends').some(({ value }) => value.mcp !== undefined)),
  ]
    .map((place) => place && child(place, 'policies'))
    .filter((policies) => policies?.value.retry !== undefined)
    .map((policies) => `${inWords(policies?.path ?? [])}.retry has no effect on MCP`)
  return [...healthless, ...mcp]
}

/** Settings that Node.js has no handle for. */
const UNHEEDED = [
  ['config', 'dns', 'edns0'],
  ['config', 'backend', 'keepalives', 'interval'],
  ['config', 'backend', 'keepalives', 'retries'],
] as const

export function warningsOf(data: unknown): string[] {
  if (!isData(data)) return []
  const file: Placed = { path: [], value: data }
  const used = new Set(Object.keys(child(file, 'config')?.value ?? {}))
  const ignored = IGNORED_CONFIG_KEYS.filter((key) => used.has(key))
  const warnings: string[] = []
  if (ignored.length > 0)
    warnings.push(
      `config: ${ignored.join(', ')} ${ignored.length === 1 ? 'has' : 'have'} no effect here: mesh and control plane settings are read and ignored`,
    )
  const unheeded = UNHEEDED.filter((path) => {
    let inner: unknown = data
    for (const key of path) inner = isData(inner) ? inner[key] : undefined
    return inner !== undefined
  })
  if (unheeded.length > 0)
    warnings.push(
      `${unheeded.map((path) => path.join('.')).join(', ')}: accepted without effect, the operating system decides`,
    )
  warnings.push(...withoutEffect(file))
  if (['binds', 'gateways', 'llm', 'mcp'].every((key) => data[key] === undefined))
    warnings.push('nothing listens for requests: there are no `gateways`, no `llm` and no `mcp`')
  return warnings
}
