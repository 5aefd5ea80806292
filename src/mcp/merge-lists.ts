/** The lists of all servers as one answer, less what the client may not see. */
import type { Asking } from './asking.ts'
import type { JsonObject } from './json-rpc.ts'
import type { Link } from './link.ts'
import { cursorOf, decodeCursors, encodeCursors, entriesOf, type ListKind } from './lists.ts'
import type { Places } from './places.ts'

/** Rejects with `Refusal` or `TargetError`. */
export function mergeLists(asking: Asking, places: Places, kind: ListKind): Promise<JsonObject> {
  const { session, operation } = asking
  const { naming } = session.backend
  if (naming.prefixesUris && !naming.prefixesNames && kind.key === 'name')
    return distinctNames(asking, places, kind)
  const [only, another] = session.links
  if (only === undefined || another !== undefined) return pagesOfAll(asking, places, kind)
  operation.target = only.target
  return pageOfOne(asking, places, kind, only)
}

/** One server's list is its own to page; all that it says beside the entries stays. */
async function pageOfOne(asking: Asking, places: Places, kind: ListKind, link: Link): Promise<JsonObject> {
  const page = await asking.page(link, kind, asking.request.params, undefined)
  return { ...page, [kind.member]: visible(asking, places, kind, link, entriesOf(page, kind)) }
}

async function pagesOfAll(asking: Asking, places: Places, kind: ListKind): Promise<JsonObject> {
  const { session, request } = asking
  const cursor = request.params?.cursor
  const names = session.links.map(({ target }) => target)
  const from = typeof cursor === 'string' ? decodeCursors(cursor, names) : undefined
  const asked = session.links.filter(({ target }) => from === undefined || from.has(target))
  const answers = await asking.all(asked, (link) =>
    asking.page(link, kind, request.params, from?.get(link.target)),
  )
  const entries: JsonObject[] = []
  // Who failed on a later page is asked for it again.
  const next = new Map(from)
  for (const [link, page] of answers) {
    entries.push(...visible(asking, places, kind, link, entriesOf(page, kind)))
    const more = cursorOf(page)
    if (more === undefined) next.delete(link.target)
    else next.set(link.target, more)
  }
  const nextCursor = encodeCursors(next)
  return { [kind.member]: entries, ...(nextCursor !== undefined && { nextCursor }) }
}

/** Without prefixes a name that two servers have is nobody's. */
async function distinctNames(asking: Asking, places: Places, kind: ListKind): Promise<JsonObject> {
  const answers = await asking.all(asking.session.links, (link) => asking.allEntries(link, kind))
  const counts = new Map<unknown, number>()
  for (const [, entries] of answers)
    for (const { name } of entries) counts.set(name, (counts.get(name) ?? 0) + 1)
  const lists = answers.map(([link, entries]) => {
    const own = entries.filter(({ name }) => counts.get(name) === 1)
    return visible(asking, places, kind, link, own)
  })
  return { [kind.member]: lists.flat() }
}

function visible(
  { session }: Asking,
  places: Places,
  kind: ListKind,
  link: Link,
  entries: readonly JsonObject[],
): JsonObject[] {
  const known = session.targetOf(link)?.known
  const allowed: JsonObject[] = []
  for (const entry of entries) {
    const name = entry[kind.key]
    if (typeof name !== 'string' || !places.isAllowed(kind.type, link, name)) continue
    if (kind.type === 'tool' || kind.type === 'prompt') known?.add(kind.type, name)
    allowed.push(kind.forClient(link.target, entry, session.backend.naming))
  }
  return allowed
}
