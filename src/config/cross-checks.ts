/**
 * Rules that no single place of the schema can state.
 *
 * They read the data before validation, as far as it has the expected form, so that their findings come together
 * with those of the schema.
 */

import { isDeepStrictEqual } from 'node:util'
import { gatewayChecks, SECTIONS } from './gateway-checks.ts'
import { llmSection } from './llm-checks.ts'
import { levelFault } from './log-level.ts'
import { child, children, descend, duplicates, isData, missing, type Placed } from './places.ts'
import type { Finding } from './problem.ts'

export function crossCheck(data: unknown): Finding[] {
  if (!isData(data)) return []
  const file: Placed = { path: [], value: data }
  const binds = children(file, 'binds')
  const routes = [file, ...binds.flatMap((bind) => children(bind, 'listeners'))].flatMap((place) =>
    children(place, 'routes'),
  )
  const named = children(file, 'backends')
  const used = routes.flatMap((route) => children(route, 'backends'))
  return [
    ...tracingTwice(file),
    ...accessLogTwice(file),
    ...logLevels(file),
    ...gatewayChecks(file),
    ...llmSection(file),
    ...binds.flatMap((bind) => duplicates(children(bind, 'listeners'), 'name', 'listener name')),
    ...duplicates(named, 'name', 'backend name'),
    ...used.flatMap((backend) => missingBackend(backend, named)),
    ...[...named, ...used].flatMap(aiBackend),
    ...[...named, ...used].flatMap((backend) => mcpTargets(child(backend, 'mcp'))),
    ...mcpTargets(child(file, 'mcp')),
    ...routes.flatMap((route) => mcpRoute(route, named)),
    ...routes.flatMap((route) => modelPolicies(route, named)),
    ...unknownModels(descend(file, 'mcp', 'policies')),
    ...differentBudgets([...routes, ...SECTIONS.flatMap((key) => child(file, key) ?? [])]),
    ...named.flatMap(guardedBackend),
    ...routes.flatMap(regexes),
  ]
}

function tracingTwice(file: Placed): Finding[] {
  if (descend(file, 'config', 'tracing') === undefined) return []
  if (descend(file, 'frontendPolicies', 'tracing') === undefined) return []
  const message = '`frontendPolicies.tracing` and `config.tracing` exclude each other: keep one'
  return [{ path: ['frontendPolicies', 'tracing'], message, atKey: true }]
}

/** Of the three places one may say what the lines are; whether payloads are kept is another matter. */
function accessLogTwice(file: Placed): Finding[] {
  const policies = child(file, 'frontendPolicies')
  const [policy, alias] = (['accessLog', 'logging'] as const).map((key) => policies && child(policies, key))
  if (policy !== undefined && alias !== undefined) {
    const message = '`frontendPolicies.logging` is another name of `frontendPolicies.accessLog`: keep one'
    return [{ path: alias.path, message, atKey: true }]
  }
  const newer = policy ?? alias
  const older = descend(file, 'config', 'logging')
  if (newer === undefined || older === undefined) return []
  const { filter, add, remove } = newer.value
  if ([filter, add, remove].every((value) => value === undefined)) return []
  return (['filter', 'fields'] as const)
    .filter((key) => older.value[key] !== undefined)
    .map((key) => ({
      path: [...older.path, key],
      message: `\`config.logging.${key}\` is the older form of \`frontendPolicies.accessLog\`: keep one`,
      atKey: true,
    }))
}

function logLevels(file: Placed): Finding[] {
  const logging = descend(file, 'config', 'logging')
  if (logging === undefined) return []
  const { level } = logging.value
  const path = [...logging.path, 'level']
  const items = Array.isArray(level)
    ? level.map((item: unknown, index) => ({ item, path: [...path, index] }))
    : [{ item: level, path }]
  return items.flatMap(({ item, path: place }) => {
    const message = typeof item === 'string' ? levelFault(item) : undefined
    return message === undefined ? [] : [{ path: place, message }]
  })
}

function missingBackend({ path, value }: Placed, named: readonly Placed[]): Finding[] {
  const name = typeof value.backend === 'string' ? value.backend.replace(/^\//, '') : undefined
  return missing(name, named, {
    path: [...path, 'backend'],
    what: (backend) => `there is no backend \`${backend}\` in the top-level \`backends\``,
  })
}

function aiBackend(backend: Placed): Finding[] {
  const ai = child(backend, 'ai')
  if (ai === undefined) return []
  const grouped = children(ai, 'groups').flatMap((group) => children(group, 'providers'))
  return [
    ...duplicates(grouped, 'name', 'provider name'),
    ...[ai, ...grouped].flatMap((provider) => aiProvider(provider, backend)),
  ]
}

function aiProvider(ai: Placed, backend: Placed): Finding[] {
  const findings: Finding[] = []
  const provider = child(ai, 'provider')
  if (
    provider !== undefined &&
    Object.hasOwn(provider.value, 'custom') &&
    ai.value.hostOverride === undefined
  )
    findings.push({
      path: [...provider.path, 'custom'],
      message: 'a custom provider has no host of its own: `hostOverride` is required beside `provider`',
      atKey: true,
    })
  const twin =
    descend(ai, 'policies', 'ai')?.value.routes !== undefined
      ? 'ai.policies.ai.routes'
      : descend(backend, 'policies', 'ai')?.value.routes !== undefined
        ? 'policies.ai.routes'
        : undefined
  if (ai.value.routes !== undefined && twin !== undefined)
    findings.push({
      path: [...ai.path, 'routes'],
      message: `\`ai.routes\` and \`${twin}\` exclude each other: keep one`,
      atKey: true,
    })
  return findings
}

/** Names come before those of tools: the same twice could not be told apart. A process has no HTTP. */
function mcpTargets(mcp: Placed | undefined): Finding[] {
  if (mcp === undefined) return []
  const targets = children(mcp, 'targets')
  return [
    ...duplicates(targets, 'name', 'target name'),
    ...targets.flatMap(({ path, value }) =>
      value.stdio !== undefined && value.policies !== undefined
        ? [
            {
              path: [...path, 'policies'],
              message: '`policies` are for targets over HTTP: `stdio` has none',
              atKey: true,
            },
          ]
        : [],
    ),
  ]
}

/** Of the kind of its key, itself or by the name that it refers to. */
function isOf(kind: 'ai' | 'mcp', { value }: Placed, named: readonly Placed[]): boolean {
  if (value[kind] !== undefined) return true
  const name = typeof value.backend === 'string' ? value.backend.replace(/^\//, '') : undefined
  return named.some((one) => one.value.name === name && one.value[kind] !== undefined)
}

/** Which model is asked, and at what price, is known of `ai` backends alone: elsewhere it would be open what is not to be. */
function modelPolicies(route: Placed, named: readonly Placed[]): Finding[] {
  if (children(route, 'backends').every((backend) => isOf('ai', backend, named))) return []
  return unknownModels(child(route, 'policies'))
}

function unknownModels(policies: Placed | undefined): Finding[] {
  if (policies === undefined) return []
  const apiKey = child(policies, 'apiKey')
  return [...(apiKey === undefined ? [] : restrictedKeys(apiKey)), ...freeSpending(policies)]
}

function freeSpending({ path, value }: Placed): Finding[] {
  if (value.budgets === undefined) return []
  const message = '`budgets` are spent by `ai` backends, and this route has another: it would be open'
  return [{ path: [...path, 'budgets'], message, atKey: true }]
}

/** One name is one budget, wherever it stands. */
function differentBudgets(routes: readonly Placed[]): Finding[] {
  const first = new Map<unknown, Placed['value']>()
  return routes.flatMap((route) => {
    const policies = child(route, 'policies')
    const budgets = policies === undefined ? [] : children(policies, 'budgets')
    return [
      ...duplicates(budgets, 'name', 'budget name'),
      ...budgets.flatMap(({ path, value }) => {
        const known = first.get(value.name) ?? value
        first.set(value.name, known)
        if (isDeepStrictEqual(known, value)) return []
        const message = `the budget \`${String(value.name)}\` of another route differs: one name is one budget`
        return [{ path: [...path, 'name'], message }]
      }),
    ]
  })
}

function restrictedKeys(apiKey: Placed): Finding[] {
  return children(apiKey, 'keys').flatMap(({ path, value }) =>
    value.allowedModels === undefined
      ? []
      : [
          {
            path: [...path, 'allowedModels'],
            message: '`allowedModels` guards `ai` backends, and this route has another: it would be open',
            atKey: true,
          },
        ],
  )
}

const MCP_POLICIES = ['mcpAuthentication', 'mcpAuthorization']

/** Policies of MCP guard nothing but MCP, and a session is at one backend. */
function mcpRoute(route: Placed, named: readonly Placed[]): Finding[] {
  const backends = children(route, 'backends')
  const isMcp = (backend: Placed) => isOf('mcp', backend, named)
  const guarded = [child(route, 'policies'), ...backends.map((backend) => child(backend, 'policies'))]
  const findings: Finding[] = []
  if (backends.some(isMcp) && backends.length > 1)
    findings.push({
      path: [...route.path, 'backends'],
      message: 'an `mcp` backend stands alone on its route: a session cannot be divided',
      hint: 'put the servers into its `targets`',
    })
  if (backends.every(isMcp) && backends.length > 0) return findings
  return [
    ...findings,
    ...guarded.flatMap((policies) =>
      guardless(policies, 'guards `mcp` backends, and this route has another'),
    ),
  ]
}

function guardless(policies: Placed | undefined, why: string): Finding[] {
  return MCP_POLICIES.flatMap((key) =>
    policies === undefined || policies.value[key] === undefined
      ? []
      : [{ path: [...policies.path, key], message: `\`${key}\` ${why}: it would be open`, atKey: true }],
  )
}

const guardedBackend = (backend: Placed) =>
  backend.value.mcp === undefined
    ? guardless(child(backend, 'policies'), 'guards `mcp` backends, and this is another')
    : []

function regexes(route: Placed): Finding[] {
  return children(route, 'matches').flatMap((match) => [
    ...regexFault(child(match, 'path')),
    ...[...children(match, 'headers'), ...children(match, 'query')].flatMap((entry) =>
      regexFault(child(entry, 'value')),
    ),
  ])
}

function regexFault(place: Placed | undefined): Finding[] {
  const regex = place?.value.regex
  if (place === undefined || typeof regex !== 'string') return []
  try {
    // As `route/` uses it: the whole text must match.
    new RegExp(`^(?:${regex})$`)
    return []
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.replace(/^.*\/: /, '') : String(cause)
    const inline = /^\(\?[a-z]+\)/.test(regex) ? 'flags take a group here: `(?i:…)`' : undefined
    return [{ path: [...place.path, 'regex'], message: `not a regular expression: ${message}`, hint: inline }]
  }
}
