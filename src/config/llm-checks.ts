/** Rules of the top-level `llm:` that no single place of its schema can state: what names refer to. */
import { byModelName } from '../llm/model-names.ts'
import { child, children, descend, duplicates, missing, type Placed } from './places.ts'
import type { Finding } from './problem.ts'

export function llmSection(file: Placed): Finding[] {
  const llm = child(file, 'llm')
  if (llm === undefined) return []
  const [providers, models, virtual] = [
    children(llm, 'providers'),
    children(llm, 'models'),
    children(llm, 'virtualModels'),
  ]
  return [
    ...duplicates(providers, 'name', 'provider name'),
    ...duplicates([...models, ...virtual], 'name', 'model name'),
    ...[...providers, ...models].flatMap(oneOrigin),
    ...models.flatMap((model) => referring(model, providers)),
    ...targets(models, virtual),
    ...virtual.flatMap(unreachable),
  ]
}

/** Where a provider of one's own is, and with which credential. */
function oneOrigin(place: Placed): Finding[] {
  const params = child(place, 'params')
  const findings: Finding[] = []
  const custom = descend(place, 'provider', 'custom')
  if (custom !== undefined && params?.value.baseUrl === undefined)
    findings.push({
      path: custom.path,
      message: 'a custom provider has no address of its own: `params.baseUrl` is required',
      atKey: true,
    })
  const auth = place.value.auth ?? child(place, 'defaults')?.value.auth
  if (auth !== undefined && params?.value.apiKey !== undefined)
    findings.push({
      path: [...params.path, 'apiKey'],
      message: '`apiKey` and `auth` exclude each other: keep one',
      atKey: true,
    })
  return findings
}

function referring(model: Placed, providers: readonly Placed[]): Finding[] {
  const provider = child(model, 'provider')
  if (provider?.value.reference === undefined) return []
  const params = child(model, 'params')
  return [
    ...missing(provider.value.reference, providers, {
      path: [...provider.path, 'reference'],
      what: (name) => `there is no provider \`${name}\` in \`llm.providers\``,
    }),
    ...['apiKey', 'baseUrl'].flatMap((key) =>
      params?.value[key] === undefined
        ? []
        : [
            {
              path: [...params.path, key],
              message: `\`${key}\` is the provider's: a model that refers to one sets only \`model\``,
              atKey: true,
            },
          ],
    ),
  ]
}

const targetsOf = (virtual: Placed): Placed[] =>
  ['weighted', 'failover', 'conditional'].flatMap((kind) => {
    const routing = descend(virtual, 'routing', kind)
    return routing === undefined ? [] : children(routing, 'targets')
  })

/** Of models and virtual models alike, and none that leads to itself. */
function targets(models: readonly Placed[], virtual: readonly Placed[]): Finding[] {
  const nameOf = ({ value }: Placed) => (typeof value.name === 'string' ? value.name : '')
  const all = [...models, ...virtual]
  const find = byModelName(all.map((one) => [nameOf(one), one]))
  const virtualByName = new Map(virtual.map((one) => [nameOf(one), one]))

  const leadsTo = (from: string, wanted: string, seen: Set<string>): boolean => {
    if (from === wanted) return true
    const next = virtualByName.get(from)
    if (next === undefined || seen.has(from)) return false
    seen.add(from)
    return targetsOf(next).some(({ value }) => leadsTo(String(value.model), wanted, seen))
  }

  return virtual.flatMap((one) =>
    targetsOf(one).flatMap(({ path, value }): Finding[] => {
      const { model } = value
      if (typeof model !== 'string') return []
      const at = [...path, 'model']
      if (find(model) === undefined)
        return missing(model, all, {
          path: at,
          what: (name) => `there is no model \`${name}\` in \`llm\``,
        })
      const name = nameOf(one)
      return leadsTo(model, name, new Set())
        ? [{ path: at, message: `\`${name}\` would lead to itself` }]
        : []
    }),
  )
}

/** What comes after a target without a condition is never asked. */
function unreachable(virtual: Placed): Finding[] {
  const routing = descend(virtual, 'routing', 'conditional')
  if (routing === undefined) return []
  return children(routing, 'targets')
    .slice(0, -1)
    .flatMap(({ path, value }) =>
      value.when === undefined
        ? [{ path, message: '`when` is required: only the last target may do without it' }]
        : [],
    )
}
