/**
 * The series that one request writes to, found by one walk over its label values and kept together.
 *
 * A combination that is new asks each family once. What is kept has a bound of its own, because the families' bound
 * counts their label sets, of which this is the product.
 */
import type { Exchange, LlmFacts } from '../core/exchange.ts'
import type { Families } from './metrics-families.ts'
import type { Counter, Histogram } from './registry-series.ts'
import { LabelTree } from './registry-series.ts'

export const UNKNOWN = 'unknown'
const NONE = 'none'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])
/** Beyond it a combination's series are asked of each family again for each request. */
const MAX_KEPT = 5000

/** The series of all requests with the same labels. Those that few requests need are bound when first needed. */
export interface RequestSeries {
  readonly labels: RequestLabels
  readonly requests: Counter
  readonly duration: Histogram
  responseBytes: Counter | undefined
  retries: Counter | undefined
  overhead: Histogram | undefined
  requestProcessing: Histogram | undefined
  responseProcessing: Histogram | undefined
  chunkDelay: Histogram | undefined
  stalled: Counter | undefined
  readonly llm: (llm: LlmFacts) => LlmSeries
}

export interface LlmSeries {
  readonly labels: LlmLabels
  readonly duration: Histogram
  usageSource: Counter | undefined
  costLookups: Counter | undefined
  cost: Counter | undefined
  input: Histogram | undefined
  output: Histogram | undefined
  cacheRead: Counter | undefined
  cacheWrite: Counter | undefined
  reasoning: Counter | undefined
  timeToFirstToken: Histogram | undefined
  timePerOutputToken: Histogram | undefined
}

/** Names and values of the labels that the configuration adds. */
type AddedLabels = Readonly<Record<string, string>>

type RequestLabels = ReturnType<typeof requestLabels> & AddedLabels
type LlmLabels = ReturnType<typeof llmLabels> & AddedLabels

const requestValues = (exchange: Exchange) =>
  [
    exchange.backend ?? UNKNOWN,
    exchange.protocol,
    METHODS.has(exchange.method) ? exchange.method : '_other',
    exchange.status === 0 ? UNKNOWN : String(exchange.status),
    exchange.reason,
    exchange.outcome ?? UNKNOWN,
    exchange.errorType ?? NONE,
    exchange.bind,
    exchange.listener ?? UNKNOWN,
    exchange.route ?? UNKNOWN,
  ] as const

function requestLabels(values: ReturnType<typeof requestValues>) {
  const [backend, protocol, method, status, reason, outcome, error_type, bind, listener, route] = values
  return { backend, protocol, method, status, reason, outcome, error_type, bind, listener, route }
}

/** A model that nobody configured and no provider confirmed is the client's own string: no label. */
function llmValues(llm: LlmFacts) {
  const requestModel = (llm.modelConfirmed ? llm.requestModel : undefined) ?? UNKNOWN
  const responseModel = llm.responseModel ?? requestModel
  return [
    llm.operation,
    llm.provider,
    requestModel,
    responseModel,
    llm.usageSource,
    llm.costStatus ?? NONE,
  ] as const
}

function llmLabels(request: RequestLabels, values: ReturnType<typeof llmValues>) {
  const [operation, provider, requestModel, responseModel, usageSource, costStatus] = values
  return {
    gen_ai_operation_name: operation,
    gen_ai_provider_name: provider,
    gen_ai_system: provider,
    gen_ai_request_model: requestModel,
    gen_ai_response_model: responseModel,
    model: responseModel,
    provider,
    usage_source: usageSource,
    status: costStatus,
    bind: request.bind,
    listener: request.listener,
    route: request.route,
    error_type: request.error_type,
  }
}

/** `added`: names of labels; their values come with each request, in the same order. */
export function requestSeries(
  families: Families,
  added: readonly string[],
): (exchange: Exchange, values: readonly string[]) => RequestSeries {
  let count = 0

  function keep<T>(tree: LabelTree<T>, path: readonly string[], value: T): T {
    if (count < MAX_KEPT) {
      tree.set(path, value)
      count++
    }
    return value
  }

  function bindAll(values: ReturnType<typeof requestValues>, addedValues: readonly string[]): RequestSeries {
    const more: AddedLabels = Object.fromEntries(
      added.map((name, index) => [name, addedValues[index] ?? UNKNOWN]),
    )
    const labels = { ...requestLabels(values), ...more }
    const known = new LabelTree<LlmSeries>()
    return bindRequest(families, labels, (llm) => {
      const path = llmValues(llm)
      return known.get(path) ?? keep(known, path, bindLlm(families, { ...llmLabels(labels, path), ...more }))
    })
  }

  const known = new LabelTree<RequestSeries>()
  return (exchange, addedValues) => {
    const values = requestValues(exchange)
    const path = addedValues.length === 0 ? values : [...values, ...addedValues]
    return known.get(path) ?? keep(known, path, bindAll(values, addedValues))
  }
}

function bindRequest(families: Families, labels: RequestLabels, llm: RequestSeries['llm']): RequestSeries {
  return {
    labels,
    requests: families.requests.childOf(labels),
    duration: families.requestDuration.childOf(labels),
    responseBytes: undefined,
    retries: undefined,
    overhead: undefined,
    requestProcessing: undefined,
    responseProcessing: undefined,
    chunkDelay: undefined,
    stalled: undefined,
    llm,
  }
}

function bindLlm(families: Families, labels: LlmLabels): LlmSeries {
  return {
    labels,
    duration: families.llmDuration.childOf(labels),
    usageSource: undefined,
    costLookups: undefined,
    cost: undefined,
    input: undefined,
    output: undefined,
    cacheRead: undefined,
    cacheWrite: undefined,
    reasoning: undefined,
    timeToFirstToken: undefined,
    timePerOutputToken: undefined,
  }
}
