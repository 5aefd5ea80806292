/** What many exchanges have in common, kind by kind: on a tape each combination stands once. */
import type { Exchange, LlmFacts, LlmParameters } from '../core/exchange.ts'
import type { Kind, TapeReader } from './tape.ts'
import { number, readList, readText, word, writeList, writeText } from './taped-parts.ts'

export const ROUTE: Kind<
  Pick<
    Exchange,
    | 'method'
    | 'host'
    | 'httpVersion'
    | 'scheme'
    | 'bind'
    | 'listener'
    | 'route'
    | 'routePattern'
    | 'protocol'
    | 'backend'
  >
> = {
  index: 0,
  isSame: (one, other) =>
    one.method === other.method &&
    one.host === other.host &&
    one.httpVersion === other.httpVersion &&
    one.scheme === other.scheme &&
    one.bind === other.bind &&
    one.listener === other.listener &&
    one.route === other.route &&
    one.routePattern === other.routePattern &&
    one.protocol === other.protocol &&
    one.backend === other.backend,
  copy: ({ method, host, httpVersion, scheme, bind, listener, route, routePattern, protocol, backend }) => ({
    method,
    host,
    httpVersion,
    scheme,
    bind,
    listener,
    route,
    routePattern,
    protocol,
    backend,
  }),
  write(tape, facts) {
    tape.text(facts.method)
    tape.text(facts.host)
    tape.text(facts.httpVersion)
    tape.text(facts.scheme)
    tape.text(facts.bind)
    tape.text(facts.listener)
    tape.text(facts.route)
    tape.text(facts.routePattern)
    tape.text(facts.protocol)
    tape.text(facts.backend)
  },
  read: (from) => ({
    method: word(from),
    host: word(from),
    httpVersion: word(from),
    scheme: word(from),
    bind: word(from),
    listener: from.text(),
    route: from.text(),
    routePattern: from.text(),
    protocol: word(from),
    backend: from.text(),
  }),
}

export const CLIENT: Kind<Pick<Exchange, 'userAgent' | 'user' | 'group' | 'key'>> = {
  index: 1,
  isSame: (one, other) =>
    one.userAgent === other.userAgent &&
    one.user === other.user &&
    one.group === other.group &&
    one.key === other.key,
  copy: ({ userAgent, user, group, key }) => ({ userAgent, user, group, key }),
  write(tape, facts) {
    tape.text(facts.userAgent)
    tape.text(facts.user)
    tape.text(facts.group)
    tape.text(facts.key)
  },
  read: (from) => ({
    userAgent: from.text(),
    user: from.text(),
    group: from.text(),
    key: from.text(),
  }),
}

export const END: Kind<Pick<Exchange, 'status' | 'outcome' | 'reason' | 'errorType' | 'errorMessage'>> = {
  index: 2,
  isSame: (one, other) =>
    one.status === other.status &&
    one.outcome === other.outcome &&
    one.reason === other.reason &&
    one.errorType === other.errorType &&
    one.errorMessage === other.errorMessage,
  copy: ({ status, outcome, reason, errorType, errorMessage }) => ({
    status,
    outcome,
    reason,
    errorType,
    errorMessage,
  }),
  write(tape, facts) {
    tape.number(facts.status)
    tape.text(facts.outcome)
    tape.text(facts.reason)
    tape.text(facts.errorType)
    tape.text(facts.errorMessage)
  },
  read: (from) => ({
    status: number(from),
    outcome: word(from),
    reason: word(from),
    errorType: word(from),
    errorMessage: from.text(),
  }),
}

export const MODEL: Kind<
  Pick<
    LlmFacts,
    | 'routeType'
    | 'operation'
    | 'provider'
    | 'clientFormat'
    | 'providerFormat'
    | 'originalModel'
    | 'requestModel'
    | 'modelConfirmed'
    | 'responseModel'
    | 'streaming'
    | 'usageSource'
    | 'costStatus'
  >
> = {
  index: 3,
  isSame: (one, other) =>
    one.routeType === other.routeType &&
    one.operation === other.operation &&
    one.provider === other.provider &&
    one.clientFormat === other.clientFormat &&
    one.providerFormat === other.providerFormat &&
    one.originalModel === other.originalModel &&
    one.requestModel === other.requestModel &&
    one.modelConfirmed === other.modelConfirmed &&
    one.responseModel === other.responseModel &&
    one.streaming === other.streaming &&
    one.usageSource === other.usageSource &&
    one.costStatus === other.costStatus,
  copy: (facts) => ({
    routeType: facts.routeType,
    operation: facts.operation,
    provider: facts.provider,
    clientFormat: facts.clientFormat,
    providerFormat: facts.providerFormat,
    originalModel: facts.originalModel,
    requestModel: facts.requestModel,
    modelConfirmed: facts.modelConfirmed,
    responseModel: facts.responseModel,
    streaming: facts.streaming,
    usageSource: facts.usageSource,
    costStatus: facts.costStatus,
  }),
  write(tape, facts) {
    tape.text(facts.routeType)
    tape.text(facts.operation)
    tape.text(facts.provider)
    tape.text(facts.clientFormat)
    tape.text(facts.providerFormat)
    tape.text(facts.originalModel)
    tape.text(facts.requestModel)
    tape.flag(facts.modelConfirmed)
    tape.text(facts.responseModel)
    tape.flag(facts.streaming)
    tape.text(facts.usageSource)
    tape.text(facts.costStatus)
  },
  read: (from) => ({
    routeType: word(from),
    operation: word(from),
    provider: word(from),
    clientFormat: word(from),
    providerFormat: word(from),
    originalModel: from.text(),
    requestModel: from.text(),
    modelConfirmed: from.flag(),
    responseModel: from.text(),
    streaming: from.flag(),
    usageSource: word(from),
    costStatus: word(from),
  }),
}

export const PARAMETERS: Kind<LlmParameters> = {
  index: 4,
  isSame: (one, other) =>
    one.temperature === other.temperature &&
    one.topP === other.topP &&
    one.topK === other.topK &&
    one.maxTokens === other.maxTokens &&
    one.frequencyPenalty === other.frequencyPenalty &&
    one.presencePenalty === other.presencePenalty &&
    one.seed === other.seed &&
    one.choiceCount === other.choiceCount &&
    one.dimensions === other.dimensions &&
    one.reasoningLevel === other.reasoningLevel &&
    one.encodingFormat === other.encodingFormat &&
    one.stopSequences === other.stopSequences,
  copy: (facts) => facts,
  write(tape, facts) {
    tape.number(facts.temperature)
    tape.number(facts.topP)
    tape.number(facts.topK)
    tape.number(facts.maxTokens)
    tape.number(facts.frequencyPenalty)
    tape.number(facts.presencePenalty)
    tape.number(facts.seed)
    tape.number(facts.choiceCount)
    tape.number(facts.dimensions)
    writeList(tape, facts.stopSequences, writeText)
    tape.text(facts.reasoningLevel)
    tape.text(facts.encodingFormat)
  },
  read: readParameters,
}

function readParameters(from: TapeReader): LlmParameters {
  const all: Readonly<Record<keyof LlmParameters, unknown>> = {
    temperature: from.number(),
    topP: from.number(),
    topK: from.number(),
    maxTokens: from.number(),
    frequencyPenalty: from.number(),
    presencePenalty: from.number(),
    seed: from.number(),
    choiceCount: from.number(),
    dimensions: from.number(),
    stopSequences: readList(from, readText),
    reasoningLevel: from.text(),
    encodingFormat: from.text(),
  }
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) given[name] = value
  }
  return given
}
