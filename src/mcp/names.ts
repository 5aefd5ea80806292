/**
 * How one endpoint names what several servers have: `<target>_<tool>`, `<target>+<uri>`.
 *
 * A target's name holds neither `_` nor `+`, so the first of them is always the delimiter, whatever the server calls
 * its tools. References without a scheme are left alone: they mean something only inside their document.
 */
import { isObject, type JsonObject } from './json-rpc.ts'

export type PrefixMode = 'conditional' | 'always' | 'never'

export interface Naming {
  /** Tools and prompts carry their target's name. */
  readonly prefixesNames: boolean
  /** URIs and task ids do. */
  readonly prefixesUris: boolean
}

export function naming(mode: PrefixMode, targetCount: number): Naming {
  const isMany = targetCount !== 1
  return {
    prefixesNames: mode === 'always' || (mode === 'conditional' && isMany),
    prefixesUris: mode === 'always' || isMany,
  }
}

export interface Split {
  readonly target: string
  readonly rest: string
}

const joinName = (target: string, name: string) => `${target}_${name}`

function splitAt(text: string, delimiter: string): Split | undefined {
  const at = text.indexOf(delimiter)
  return at <= 0 ? undefined : { target: text.slice(0, at), rest: text.slice(at + 1) }
}

export const splitName = (name: string) => splitAt(name, '_')
const joinId = (target: string, id: string) => `${target}+${id}`
export const splitId = (id: string) => splitAt(id, '+')

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/
/** URIs of MCP Apps: their hosts look at the scheme, so the target comes behind it. */
const APP = 'ui://'

export function joinUri(target: string, uri: string): string {
  if (uri.startsWith(APP)) return `${APP}${target}+${uri.slice(APP.length)}`
  return SCHEME.test(uri) ? `${target}+${uri}` : uri
}

export function splitUri(uri: string): Split | undefined {
  if (!uri.startsWith(APP)) return splitAt(uri, '+')
  const inner = splitAt(uri.slice(APP.length), '+')
  return inner && { target: inner.target, rest: `${APP}${inner.rest}` }
}

const withUri = (target: string, value: JsonObject, key: string): JsonObject =>
  typeof value[key] === 'string' ? { ...value, [key]: joinUri(target, value[key]) } : value

/** A block of content: links and embedded resources name a URI that the client may come back with. */
function contentForClient(target: string, block: unknown): unknown {
  if (!isObject(block)) return block
  if (block.type === 'resource_link') return withUri(target, block, 'uri')
  if (block.type === 'resource' && isObject(block.resource))
    return { ...block, resource: withUri(target, block.resource, 'uri') }
  return block
}

/** Of `tools/call` and `tasks/result`: `content` as the client has to see it, or the task that stands for it. */
export function toolResultForClient(target: string, result: JsonObject): JsonObject {
  const named = tasksForClient(target, result)
  if (!Array.isArray(named.content)) return named
  return { ...named, content: named.content.map((block) => contentForClient(target, block)) }
}

/** In `_meta` of whatever belongs to a task. */
const RELATED = 'io.modelcontextprotocol/related-task'

const withTaskId = (target: string, value: JsonObject): JsonObject =>
  typeof value.taskId === 'string' ? { ...value, taskId: joinId(target, value.taskId) } : value

/** The ids of tasks in a result, or in the parameters of what a server says. */
export function tasksForClient(target: string, value: JsonObject): JsonObject {
  const named = withTaskId(target, value)
  const meta = isObject(named._meta) ? named._meta : {}
  const related = meta[RELATED]
  return {
    ...named,
    ...(isObject(named.task) && { task: withTaskId(target, named.task) }),
    ...(isObject(related) && { _meta: { ...meta, [RELATED]: withTaskId(target, related) } }),
  }
}

export const taskEntryForClient = (target: string, task: JsonObject, how: Naming): JsonObject =>
  how.prefixesUris ? withTaskId(target, task) : task

/** Of `prompts/get`. */
export function promptForClient(target: string, result: JsonObject): JsonObject {
  if (!Array.isArray(result.messages)) return result
  return {
    ...result,
    messages: result.messages.map((message) =>
      isObject(message) ? { ...message, content: contentForClient(target, message.content) } : message,
    ),
  }
}

/** Of `resources/read`. */
export function contentsForClient(target: string, result: JsonObject): JsonObject {
  if (!Array.isArray(result.contents)) return result
  return {
    ...result,
    contents: result.contents.map((one) => (isObject(one) ? withUri(target, one, 'uri') : one)),
  }
}

/** An entry of `tools/list`: its name, and the page that an MCP App shows for it. */
export function toolForClient(target: string, tool: JsonObject, how: Naming): JsonObject {
  const named =
    how.prefixesNames && typeof tool.name === 'string' ? { ...tool, name: joinName(target, tool.name) } : tool
  if (!how.prefixesUris || !isObject(named._meta)) return named
  const meta = withUri(target, named._meta, 'ui/resourceUri')
  const withApp = isObject(meta.ui) ? { ...meta, ui: withUri(target, meta.ui, 'resourceUri') } : meta
  return { ...named, _meta: withApp }
}

export function promptEntryForClient(target: string, prompt: JsonObject, how: Naming): JsonObject {
  return how.prefixesNames && typeof prompt.name === 'string'
    ? { ...prompt, name: joinName(target, prompt.name) }
    : prompt
}

export const resourceForClient = (target: string, resource: JsonObject, how: Naming): JsonObject =>
  how.prefixesUris ? withUri(target, resource, 'uri') : resource

export const templateForClient = (target: string, template: JsonObject, how: Naming): JsonObject =>
  how.prefixesUris ? withUri(target, template, 'uriTemplate') : template
