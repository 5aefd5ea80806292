/** `initialize` of several servers as one answer: what any of them can, the gateway can. */
import { isObject, type JsonObject } from './json-rpc.ts'
import { LEGACY_VERSIONS } from './versions.ts'

export interface Initialized {
  readonly target: string
  readonly result: JsonObject
}

/** Booleans by or, objects member by member; of anything else the first. */
function union(one: unknown, other: unknown): unknown {
  if (typeof one === 'boolean' && typeof other === 'boolean') return one || other
  if (!isObject(one)) return one ?? other
  if (!isObject(other)) return one
  const merged: Record<string, unknown> = { ...one }
  for (const key of Object.keys(other)) merged[key] = union(one[key], other[key])
  return merged
}

/** Dates as text: the order of versions is the order of the alphabet. */
const lower = (one: string, other: string) => (one < other ? one : other)

export interface MergeOptions {
  readonly clientVersion: string
  readonly gatewayVersion: string
  readonly isPrefixed: boolean
}

export function mergeInitialized(results: readonly Initialized[], options: MergeOptions): JsonObject {
  let protocolVersion = options.clientVersion
  let capabilities: unknown = {}
  for (const { result } of results) {
    const version = result.protocolVersion
    if (typeof version === 'string' && LEGACY_VERSIONS.includes(version))
      protocolVersion = lower(protocolVersion, version)
    capabilities = union(capabilities, result.capabilities)
  }
  return {
    protocolVersion,
    capabilities,
    serverInfo: { name: 'agentgateway', title: 'AgentGateway', version: options.gatewayVersion },
    instructions: instructions(results, options.isPrefixed),
  }
}

function instructions(results: readonly Initialized[], isPrefixed: boolean): string {
  const names = results.map(({ target }) => target).join(', ')
  const example = results[0]?.target ?? 'target'
  const how = isPrefixed
    ? ` Names of tools and prompts begin with their server's name and an underscore (${example}_…), URIs of resources with its name and a plus sign (${example}+…).`
    : ''
  const sections = results.flatMap(({ target, result }) =>
    typeof result.instructions === 'string' && result.instructions !== ''
      ? [`[${target}]\n${result.instructions}`]
      : [],
  )
  return [`This endpoint brings together the MCP servers ${names}.${how}`, ...sections].join('\n\n')
}
