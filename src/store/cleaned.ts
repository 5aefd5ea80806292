/** An exchange without what looks like a secret in what clients and servers put into words, or chose as a name. */
import type {
  Attempt,
  Exchange,
  LlmFacts,
  LlmParameters,
  McpCall,
  McpFacts,
  McpOperation,
} from '../core/exchange.ts'
import { redact } from '../core/redact.ts'

interface Cleaner {
  text(text: string): string
  text(text: string | undefined): string | undefined
  readonly hasChanged: () => boolean
}

export function createCleaner(): Cleaner {
  let changed = false
  function text(text: string): string
  function text(text: string | undefined): string | undefined
  function text(raw: string | undefined): string | undefined {
    if (raw === undefined) return undefined
    const clean = redact(raw)
    if (clean !== raw) changed = true
    return clean
  }
  return { text, hasChanged: () => changed }
}

export function cleaned(exchange: Exchange, cleaner: Cleaner): Exchange {
  const { trace, host, path, userAgent, user, group, errorMessage, attempts, llm, mcp, events, attributes } =
    exchange
  return {
    ...exchange,
    trace: { ...trace, traceState: cleaner.text(trace.traceState) },
    host: cleaner.text(host),
    path: cleaner.text(path),
    userAgent: cleaner.text(userAgent),
    user: cleaner.text(user),
    group: cleaner.text(group),
    errorMessage: cleaner.text(errorMessage),
    attempts: attempts.map(
      (attempt): Attempt => ({ ...attempt, errorMessage: cleaner.text(attempt.errorMessage) }),
    ),
    llm: llm && cleanedLlm(llm, cleaner),
    mcp: mcp && cleanedMcp(mcp, cleaner),
    events: events?.map((event) => ({ ...event, reason: cleaner.text(event.reason) })),
    attributes: attributes?.map(([name, value]) => [
      name,
      typeof value === 'string' ? cleaner.text(value) : value,
    ]),
  }
}

const cleanedLlm = (llm: LlmFacts, cleaner: Cleaner): LlmFacts => ({
  ...llm,
  originalModel: cleaner.text(llm.originalModel),
  requestModel: cleaner.text(llm.requestModel),
  responseModel: cleaner.text(llm.responseModel),
  parameters: cleanedParameters(llm.parameters, cleaner),
})

function cleanedParameters(parameters: LlmParameters, cleaner: Cleaner): LlmParameters {
  const { stopSequences } = parameters
  if (stopSequences === undefined) return parameters
  return { ...parameters, stopSequences: stopSequences.map((one) => cleaner.text(one)) }
}

function cleanedMcp(mcp: McpFacts, cleaner: Cleaner): McpFacts {
  const operations = mcp.operations.map((one) => cleanedOperation(one, cleaner))
  return {
    ...mcp,
    operations,
    calls: mcp.calls.map(
      (call): McpCall => ({
        ...call,
        method: cleaner.text(call.method),
        errorMessage: cleaner.text(call.errorMessage),
        operation:
          operations[mcp.operations.indexOf(call.operation)] ?? cleanedOperation(call.operation, cleaner),
      }),
    ),
  }
}

const cleanedOperation = (operation: McpOperation, cleaner: Cleaner): McpOperation => ({
  ...operation,
  requestId:
    typeof operation.requestId === 'string' ? cleaner.text(operation.requestId) : operation.requestId,
  method: cleaner.text(operation.method),
  resource: cleaner.text(operation.resource),
  errorMessage: cleaner.text(operation.errorMessage),
})
