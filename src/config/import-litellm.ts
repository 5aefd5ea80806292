/**
 * LiteLLM's proxy configuration -> `llm:`.
 *
 * What has no counterpart is told, one by one: nothing is left out silently. https://docs.litellm.ai/docs/proxy/configs
 */
import { PRESET_NAMES, type PresetName } from '../llm/providers/presets.ts'
import { formatPath, type Path } from './problem.ts'

type Json = Readonly<Record<string, unknown>>

export interface Imported {
  readonly config: Json
  /** `path: why it is not there`. */
  readonly left: readonly string[]
}

type Leave = (path: Path, why?: string) => void

interface Deployment {
  readonly provider: string
  readonly params: Json
  readonly defaults: Json
}

/** Names at LiteLLM's that differ from ours. */
const PROVIDERS: Readonly<Record<string, 'openAI' | 'anthropic' | PresetName>> = {
  ...Object.fromEntries(PRESET_NAMES.map((name) => [name, name])),
  openai: 'openAI',
  anthropic: 'anthropic',
  together_ai: 'togetherai',
  fireworks_ai: 'fireworks',
  cohere_chat: 'cohere',
  ollama_chat: 'ollama',
}

/** Of a request's body: what the client leaves out. */
const DEFAULTS = [
  ...['temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'seed', 'stop', 'user'],
  ...['presence_penalty', 'frequency_penalty', 'reasoning_effort'],
]

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const objectAt = (value: Json, key: string): Json => {
  const inner = value[key]
  return isObject(inner) ? inner : {}
}
const listAt = (value: Json, key: string): readonly unknown[] => {
  const inner = value[key]
  return Array.isArray(inner) ? inner : []
}

/** A reference to the environment, or text in which a dollar sign is one. */
const textOf = (value: unknown) =>
  String(value)
    .replaceAll('$', '$$$$')
    .replace(/^os\.environ\/(\w+)$/, '$$$1')

export function importLiteLlm(source: unknown): Imported {
  const left: string[] = []
  const leave: Leave = (path, why = 'it has no counterpart here') => left.push(`${formatPath(path)}: ${why}`)
  const file = isObject(source) ? source : {}
  const deployments = deploymentsOf(file, leave)
  const fallbacks = fallbacksOf(file, leave)
  const key = objectAt(file, 'general_settings').master_key
  leaveOthers(file, leave)
  const { models, virtualModels } = named(deployments, fallbacks, leave)
  const llm = {
    models,
    ...(virtualModels.length > 0 && { virtualModels }),
    ...(key !== undefined && { policies: { apiKey: { keys: [{ key: textOf(key) }] } } }),
  }
  return { config: { llm }, left }
}

/** By their names; several of one name share the load. */
function deploymentsOf(file: Json, leave: Leave): Map<string, Deployment[]> {
  const deployments = new Map<string, Deployment[]>()
  for (const [index, entry] of listAt(file, 'model_list').entries()) {
    const path = ['model_list', index]
    if (!isObject(entry)) continue
    const { model_name: name, litellm_params: _, ...others } = entry
    const deployment = typeof name === 'string' ? deploymentOf(name, entry, path, leave) : undefined
    if (typeof name !== 'string' || deployment === undefined) continue
    for (const key of Object.keys(others)) leave([...path, key])
    deployments.set(name, [...(deployments.get(name) ?? []), deployment])
  }
  return deployments
}

function deploymentOf(name: string, entry: Json, path: Path, leave: Leave): Deployment | undefined {
  const at = [...path, 'litellm_params']
  const { model, api_key: apiKey, api_base: apiBase, ...others } = objectAt(entry, 'litellm_params')
  const text = String(model)
  const slash = text.indexOf('/')
  const prefix = slash < 0 ? usualProvider(text) : text.slice(0, slash)
  const provider = Object.hasOwn(PROVIDERS, prefix) ? PROVIDERS[prefix] : undefined
  const own = text.slice(slash + 1)
  if (provider === undefined) {
    leave([...at, 'model'], `no provider here is asked as \`${text}\`: the model is left out`)
    return undefined
  }
  const isPattern = name.includes('*') || own.includes('*')
  if (isPattern && own !== name && !(name === '*' && own === '*')) {
    leave(
      [...at, 'model'],
      `a pattern sends the client's name as it is, not as \`${own}\`: the model is left out`,
    )
    return undefined
  }
  const defaults: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(others))
    if (DEFAULTS.includes(key)) defaults[key] = typeof value === 'string' ? textOf(value) : value
    else leave([...at, key])
  const params = {
    ...(own !== name && { model: textOf(own) }),
    ...(apiKey !== undefined && { apiKey: textOf(apiKey) }),
    ...(apiBase !== undefined && { baseUrl: textOf(apiBase) }),
  }
  return { provider, params, defaults }
}

function usualProvider(model: string): string {
  if (model.startsWith('claude')) return 'anthropic'
  return /^(?:gpt-|chatgpt-|o\d|text-embedding-)/.test(model) ? 'openai' : ''
}

function fallbacksOf(file: Json, leave: Leave): Map<string, string[]> {
  const fallbacks = new Map<string, string[]>()
  for (const section of ['router_settings', 'litellm_settings'])
    for (const [index, entry] of listAt(objectAt(file, section), 'fallbacks').entries()) {
      if (!isObject(entry)) continue
      for (const [name, targets] of Object.entries(entry)) {
        const names = Array.isArray(targets) ? targets.filter((target) => typeof target === 'string') : []
        if (name === '*') leave([section, 'fallbacks', index, name], 'a fallback is for one model by name')
        else fallbacks.set(name, [...(fallbacks.get(name) ?? []), ...names])
      }
    }
  return fallbacks
}

function leaveOthers(file: Json, leave: Leave): void {
  const carried: Readonly<Record<string, readonly string[]>> = {
    router_settings: ['fallbacks'],
    litellm_settings: ['fallbacks'],
    general_settings: ['master_key'],
  }
  for (const [section, value] of Object.entries(file)) {
    if (section === 'model_list') continue
    const known = Object.hasOwn(carried, section) ? carried[section] : undefined
    if (known === undefined || !isObject(value)) leave([section])
    else for (const key of Object.keys(value)) if (!known.includes(key)) leave([section, key])
  }
}

/** A name that stands for several becomes a virtual model, and they are numbered. */
function named(
  deployments: ReadonlyMap<string, readonly Deployment[]>,
  fallbacks: ReadonlyMap<string, readonly string[]>,
  leave: Leave,
) {
  const taken = new Set(deployments.keys())
  const numbered = new Map<string, readonly string[]>()
  const models: Json[] = []
  const isVirtual = (name: string) =>
    (deployments.get(name) ?? []).length > 1 || (fallbacks.get(name) ?? []).length > 0
  for (const [name, all] of deployments) {
    const isSeveral = isVirtual(name) && !name.includes('*')
    if (isVirtual(name) && !isSeveral)
      leave(
        ['model_list'],
        `the pattern \`${name}\` stands for one model here: the first is taken, without fallbacks`,
      )
    const names = isSeveral ? all.map((_, index) => freeName(`${name}-${index + 1}`, taken)) : [name]
    numbered.set(name, names)
    for (const [index, own] of names.entries()) {
      const { provider, params, defaults } = all[index] ?? { provider: '', params: {}, defaults: {} }
      const sent = isSeveral && params.model === undefined ? { model: textOf(name), ...params } : params
      models.push({
        name: textOf(own),
        provider,
        ...(Object.keys(sent).length > 0 && { params: sent }),
        ...(Object.keys(defaults).length > 0 && { defaults }),
        ...(isSeveral && { visibility: 'internal' }),
      })
    }
  }
  const virtualModels = [...deployments.keys()].flatMap((name): Json[] => {
    if (!isVirtual(name) || name.includes('*')) return []
    const known = (fallbacks.get(name) ?? []).filter((target) => {
      if (!numbered.has(target)) leave(['fallbacks', name], `there is no model \`${target}\``)
      return numbered.has(target)
    })
    const targets = [name, ...known].flatMap((target, priority) =>
      (numbered.get(target) ?? []).map((model) => ({ model: textOf(model), priority })),
    )
    return [{ name: textOf(name), routing: { failover: { targets } } }]
  })
  for (const name of fallbacks.keys())
    if (!deployments.has(name)) leave(['fallbacks', name], 'there is no such model')
  return { models, virtualModels }
}

function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`
  taken.add(name)
  return name
}
