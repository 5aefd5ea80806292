/**
 * What the configuration makes of log, metrics and traces by expressions: compiled once, exchanged whole by a reload.
 *
 * A gateway without any of it has no view at all. With it, variables are made once for a finished exchange, and only
 * those that some expression reads.
 */
import type { IncomingMessage } from 'node:http'
import type { Config } from './config/schema.ts'
import { isSecretKey } from './config/secret-keys.ts'
import { compileCel } from './core/cel.ts'
import type { Attribute, Exchange } from './core/exchange.ts'
import { addressOf, type Origin, splitTarget } from './listen/incoming.ts'
import type { LineChange } from './telemetry/access-log.ts'
import { compileField, compileFields, type Field, type OnFailed, textOfField } from './telemetry/fields.ts'
import type { SpanChange } from './telemetry/otlp.ts'
import { createSampler, neverSample, type Sampler } from './telemetry/sampling.ts'
import type { TracingSettings } from './telemetry/tracing-settings.ts'
import {
  arrivingVariables,
  finishedVariables,
  type IsHidden,
  type Seen,
  type Variables,
} from './telemetry/variables.ts'

/** One finished exchange, as the configuration wants it told. */
export interface View {
  /** Says who asked, where the configuration says it in its own words. */
  readonly identify: () => void
  /** In the order in which they were named at the start. */
  readonly labels: () => readonly (string | undefined)[]
  readonly isLogged: () => boolean
  readonly line: () => LineChange
  readonly isTraced: () => boolean
  readonly isKept: () => boolean
  /** Notes what is kept with it. */
  readonly keep: () => void
  readonly span: () => SpanChange
}

export interface Observing {
  readonly sample: Sampler
  readonly isHidden: IsHidden
  readonly readsResponseHeaders: boolean
  /** Undefined where the configuration has nothing to say. */
  readonly view: ((exchange: Exchange, seen: () => Seen | undefined) => View) | undefined
}

/** Renames the SERVER span instead of being one of its attributes. */
const SPAN_NAME = 'span.name'

/** Both spellings of the same; `crossCheck` sees to it that one says it. */
export function accessLogOf({ config, frontendPolicies }: Config) {
  const { logging } = config ?? {}
  const policy = frontendPolicies?.accessLog ?? frontendPolicies?.logging
  return {
    filter: policy?.filter ?? logging?.filter,
    add: policy?.add ?? logging?.fields?.add,
    remove: policy?.remove ?? logging?.fields?.remove,
    database: policy?.database,
  }
}

export const labelsOf = ({ config }: Config): Readonly<Record<string, string>> =>
  config?.metrics?.fields?.add ?? {}

/**
 * `labels` are those that the metrics were made with: a reload can give them other expressions, and none can come or
 * go.
 */
export function createObserving(
  config: Config,
  tracing: TracingSettings | undefined,
  { labels, onFailed }: { readonly labels: Readonly<Record<string, string>>; readonly onFailed: OnFailed },
): Observing {
  const log = accessLogOf(config)
  const standard = config.config?.standardAttributes
  const one = (source: string | undefined, place: string): Field | undefined =>
    source === undefined ? undefined : compileField('', source, place, onFailed)

  const isLogged = one(log.filter, 'access log: filter')
  const added = compileFields(log.add, 'access log', onFailed)
  const labelled = compileFields(labels, 'metrics', onFailed)
  const user = one(standard?.user, 'standardAttributes.user')
  const group = one(standard?.group, 'standardAttributes.group')
  const isTraced = one(tracing?.filter, 'tracing: filter')
  const attributes = compileFields(tracing?.attributes, 'tracing', onFailed)
  const isKept = one(log.database?.filter, 'access log: database: filter')
  const kept = compileFields(log.database?.add, 'access log: database', onFailed)

  const isHidden = hiddenHeaders(config)
  const all = [isLogged, user, group, isTraced, isKept, ...added, ...labelled, ...attributes, ...kept].filter(
    (field) => field !== undefined,
  )
  const toVariables = finishedVariables(
    all.map(({ expression }) => expression),
    isHidden,
  )
  const removedFields = new Set([...(log.remove ?? []), ...added.map(({ name }) => name)])
  const removedAttributes = new Set(tracing?.remove)
  const replaced = new Set(attributes.map(({ name }) => name))
  const isSilent = all.length === 0 && removedFields.size === 0 && removedAttributes.size === 0

  function view(exchange: Exchange, seen: () => Seen | undefined): View {
    let made: Variables | undefined
    const variables = () => {
      made ??= toVariables(exchange, seen())
      return made
    }
    const textOf = (field: Field) => {
      const value = field.evaluate(variables())
      return value === undefined ? undefined : textOfField(value)
    }
    const holds = (field: Field | undefined) => field === undefined || field.evaluate(variables()) === true
    return {
      identify() {
        if (user !== undefined) exchange.user = textOf(user)
        if (group !== undefined) exchange.group = textOf(group)
      },
      labels: () => labelled.map(textOf),
      isLogged: () => holds(isLogged),
      line: () => ({ removed: removedFields, added, variables: added.length === 0 ? {} : variables() }),
      isTraced: () => holds(isTraced),
      isKept: () => holds(isKept),
      keep() {
        if (kept.length > 0) exchange.attributes = keptAttributes(kept, variables())
      },
      span: () => ({
        ...spanAttributes(attributes, attributes.length === 0 ? {} : variables()),
        removed: removedAttributes,
        replaced,
      }),
    }
  }

  return {
    sample: tracing === undefined ? neverSample : createSampler(tracing.sampling),
    isHidden,
    readsResponseHeaders: all.some(({ expression }) => expression.reads('response.headers')),
    view: isSilent ? undefined : view,
  }
}

function keptAttributes(fields: readonly Field[], variables: Variables): readonly Attribute[] {
  return fields.flatMap(({ name, evaluate }) => {
    const value = evaluate(variables)
    if (value === undefined) return []
    const plain = typeof value === 'number' || typeof value === 'boolean' ? value : textOfField(value)
    return [[name, plain] as const]
  })
}

function spanAttributes(fields: readonly Field[], variables: Variables): Pick<SpanChange, 'name' | 'added'> {
  const added: Record<string, string | number | boolean> = {}
  let spanName: string | undefined
  for (const { name, evaluate } of fields) {
    const value = evaluate(variables)
    if (value === undefined) continue
    if (name === SPAN_NAME) spanName = textOfField(value)
    else added[name] = typeof value === 'number' || typeof value === 'boolean' ? value : textOfField(value)
  }
  return { name: spanName, added }
}

/** Judged by their names, by what the configuration calls sensitive, and by where it looks for credentials. */
function hiddenHeaders(config: Config): IsHidden {
  const named = new Set([
    ...(config.config?.sensitiveHeaders ?? []).map((name) => name.toLowerCase()),
    ...credentialHeaders(config),
  ])
  return (name) => named.has(name) || isSecretKey(name)
}

/** `location: {header: {name}}`, or the headers that its `expression` names, wherever a policy has it. */
function credentialHeaders(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(credentialHeaders)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const { header, expression } = /location$/i.test(key) && typeof inner === 'object' ? (inner ?? {}) : {}
    if (typeof header?.name === 'string') return [header.name.toLowerCase()]
    if (typeof expression === 'string') return compileCel(expression).membersOf('request.headers')
    return credentialHeaders(inner)
  })
}

/** Of a request whose head has just arrived. */
export function arrivingOf(
  request: IncomingMessage,
  isHidden: IsHidden,
  origin: Origin | undefined,
): Variables {
  return arrivingVariables(
    {
      method: request.method ?? 'GET',
      host: request.headers.host ?? '',
      scheme: origin?.scheme ?? ('encrypted' in request.socket ? 'https' : 'http'),
      path: splitTarget(request.url ?? '/').path,
      httpVersion: origin?.httpVersion ?? request.httpVersion,
      clientAddress: origin?.clientAddress ?? addressOf(request),
      headers: request.headers,
    },
    isHidden,
  )
}
