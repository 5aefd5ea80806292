/**
 * The lists of several servers as one.
 *
 * Page by page: the first page is made of everybody's first pages, and its cursor holds the cursors of all who have
 * more. A client that reads no further than the first page sees of each server what it would see there.
 */
import type { McpResourceType } from '../core/exchange.ts'
import { isObject, type JsonObject, RPC_ERRORS } from './json-rpc.ts'
import {
  type Naming,
  promptEntryForClient,
  resourceForClient,
  taskEntryForClient,
  templateForClient,
  toolForClient,
} from './names.ts'
import { Refusal } from './refusal.ts'

export interface ListKind {
  readonly method: string
  /** The member of the result that holds the entries. */
  readonly member: string
  readonly capability: string
  readonly type: McpResourceType
  /** What names an entry. */
  readonly key: string
  /** `resource_type` of `list_calls_total`. */
  readonly label: string
  readonly forClient: (target: string, entry: JsonObject, how: Naming) => JsonObject
}

const KINDS: readonly ListKind[] = [
  {
    method: 'tools/list',
    member: 'tools',
    capability: 'tools',
    type: 'tool',
    key: 'name',
    label: 'tool',
    forClient: toolForClient,
  },
  {
    method: 'prompts/list',
    member: 'prompts',
    capability: 'prompts',
    type: 'prompt',
    key: 'name',
    label: 'prompt',
    forClient: promptEntryForClient,
  },
  {
    method: 'resources/list',
    member: 'resources',
    capability: 'resources',
    type: 'resource',
    key: 'uri',
    label: 'resource',
    forClient: resourceForClient,
  },
  {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    capability: 'resources',
    type: 'resource',
    key: 'uriTemplate',
    label: 'resource_template',
    forClient: templateForClient,
  },
  {
    method: 'tasks/list',
    member: 'tasks',
    capability: 'tasks',
    type: 'task',
    key: 'taskId',
    label: 'task',
    forClient: taskEntryForClient,
  },
]

export const LIST_KINDS: ReadonlyMap<string, ListKind> = new Map(KINDS.map((kind) => [kind.method, kind]))

/** The entries of a page that are objects: whatever else a server put there is no tool. */
export function entriesOf(result: JsonObject, kind: ListKind): JsonObject[] {
  const entries = result[kind.member]
  return Array.isArray(entries) ? entries.filter(isObject) : []
}

export const cursorOf = (result: JsonObject) =>
  typeof result.nextCursor === 'string' && result.nextCursor !== '' ? result.nextCursor : undefined

/** Where to go on, by target. */
export type Cursors = ReadonlyMap<string, string>

export function encodeCursors(cursors: Cursors): string | undefined {
  if (cursors.size === 0) return undefined
  return Buffer.from(JSON.stringify([...cursors])).toString('base64url')
}

/** Throws `Refusal` on what no answer of ours ever held. */
export function decodeCursors(cursor: string, targets: readonly string[]): Cursors {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    const isOurs = (pair: unknown): pair is [string, string] =>
      Array.isArray(pair) && targets.includes(pair[0]) && typeof pair[1] === 'string'
    if (Array.isArray(parsed) && parsed.length > 0 && parsed.every(isOurs)) return new Map(parsed)
  } catch {
    // Said below.
  }
  throw new Refusal(400, RPC_ERRORS.invalidParams, 'Invalid cursor: it is not from this list')
}
