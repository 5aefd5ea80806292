/** Which server a request is for, by the name that the client knows; and whether this client may know it. */
import type { McpResourceType } from '../core/exchange.ts'
import type { Asking } from './asking.ts'
import { RPC_ERRORS } from './json-rpc.ts'
import type { Link } from './link.ts'
import { LIST_KINDS } from './lists.ts'
import { type Split, splitId, splitName, splitUri } from './names.ts'
import { Refusal, unknownResource } from './refusal.ts'

export interface Place {
  readonly link: Link
  /** As the server knows it. */
  readonly name: string
}

/** A name that is not there is looked for anew, but not with every request. */
const FRESH_MS = 1000

export class Places {
  readonly #asking: Asking

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** Throws `Refusal`. */
  async ofName(type: 'tool' | 'prompt', name: string): Promise<Place> {
    const { session, operation } = this.#asking
    const { naming, spec } = session.backend
    operation.resourceType = type
    const place =
      naming.prefixesUris && !naming.prefixesNames
        ? await this.#owner(type, name)
        : this.#split(name, splitName, naming.prefixesNames)
    if (place === undefined) throw unknownResource(type, name, false)
    this.#identify(type, place)
    if (!this.isAllowed(type, place.link, place.name)) throw unknownResource(type, name, true)
    // Else what is denied could be told from what is not there.
    if (spec.authorization !== undefined && !(await this.#has(place.link, type, place.name)))
      throw unknownResource(type, name, false)
    return place
  }

  /** Throws `Refusal`. */
  ofUri(uri: string): Place {
    return this.#of('resource', uri, splitUri)
  }

  /** Throws `Refusal`. */
  ofTask(id: string): Place {
    return this.#of('task', id, splitId)
  }

  #of(type: 'resource' | 'task', shown: string, split: (text: string) => Split | undefined): Place {
    const place = this.#split(shown, split, this.#asking.session.backend.naming.prefixesUris)
    if (place === undefined) throw unknownResource(type, shown, false)
    this.#identify(type, place)
    if (!this.isAllowed(type, place.link, place.name)) throw unknownResource(type, shown, true)
    return place
  }

  isAllowed(kind: McpResourceType, link: Link, name: string): boolean {
    const { session, context, operation } = this.#asking
    const { authorization } = session.backend.spec
    if (authorization === undefined) return true
    const caller = { ...context.caller, methodName: operation.method }
    return authorization.allows({ kind, name, target: link.target }, caller)
  }

  #split(text: string, split: (text: string) => Split | undefined, isPrefixed: boolean): Place | undefined {
    const { session } = this.#asking
    if (!isPrefixed) {
      const [only] = session.links
      return only && { link: only, name: text }
    }
    const parts = split(text)
    const link = parts && session.linkOf(parts.target)
    return link && parts && { link, name: parts.rest }
  }

  #identify(type: McpResourceType, { link, name }: Place): void {
    const { operation, session } = this.#asking
    operation.resourceType = type
    operation.target = link.target
    operation.resource = name
    operation.resourceConfirmed = session.targetOf(link)?.known.has(type, name) ?? false
  }

  /** Names without a prefix, and several servers: exactly one of them must have it. */
  async #owner(type: 'tool' | 'prompt', name: string): Promise<Place | undefined> {
    const { session } = this.#asking
    const { links } = session
    const having = await Promise.all(
      // One that is away still has what it was known to have: nobody else answers in its place.
      links.map((link) =>
        this.#has(link, type, name).catch(() => session.targetOf(link)?.known.has(type, name) === true),
      ),
    )
    const owners = links.filter((_, index) => having[index] === true)
    const [owner, another] = owners
    if (another !== undefined) {
      const names = owners.map(({ target }) => target).join(', ')
      const message = `Ambiguous ${type}: ${name} is a name at ${names}; use prefixMode: conditional`
      throw new Refusal(400, RPC_ERRORS.invalidParams, message)
    }
    return owner && { link: owner, name }
  }

  async #has(link: Link, type: 'tool' | 'prompt', name: string): Promise<boolean> {
    const kind = LIST_KINDS.get(`${type}s/list`)
    if (kind === undefined) return false
    const { session, context } = this.#asking
    await link.ensureOpen(context.headers)
    const key = `${link.target} ${kind.method}`
    const known = session.catalogs.get(key)
    if (known?.names.has(name) === true) return true
    if (known !== undefined && performance.now() - known.at < FRESH_MS) return false
    const entries = await this.#asking.allEntries(link, kind)
    const names = new Set(entries.map((entry) => String(entry[kind.key])))
    for (const one of names) session.targetOf(link)?.known.add(type, one)
    session.catalogs.set(key, { names, at: performance.now() })
    return names.has(name)
  }
}
