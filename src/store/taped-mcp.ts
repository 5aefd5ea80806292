/** What MCP adds to an exchange, on a tape. */
import type { McpCall, McpFacts, McpOperation } from '../core/exchange.ts'
import type { Tape, TapeReader } from './tape.ts'
import { firstOf, number, ownWord, readList, readText, word, writeList } from './taped-parts.ts'

export function writeMcp(tape: Tape, { sessionId, protocolVersion, operations, calls }: McpFacts): void {
  const kept = firstOf(operations)
  tape.text(sessionId)
  tape.text(protocolVersion)
  writeList(tape, kept, writeOperation)
  const toldOf = firstOf(calls.filter(({ operation }) => kept.includes(operation)))
  tape.count(toldOf.length)
  for (const call of toldOf) {
    tape.count(kept.indexOf(call.operation))
    writeCall(tape, call)
  }
}

export function readMcp(from: TapeReader): McpFacts {
  const sessionId = from.text()
  const protocolVersion = from.text()
  const operations = readList(from, readOperation) ?? []
  const calls = readList(from, () => readCall(from, operations))?.filter((call) => call !== undefined)
  return { sessionId, protocolVersion, operations, calls: calls ?? [] }
}

function writeOperation(tape: Tape, operation: McpOperation): void {
  const { requestId } = operation
  tape.text(operation.method)
  tape.flag(operation.isInterim)
  tape.number(typeof requestId === 'number' ? requestId : undefined)
  tape.text(typeof requestId === 'string' ? requestId : undefined)
  tape.number(operation.startedAt)
  tape.number(operation.endedAt)
  tape.text(operation.resourceType)
  tape.text(operation.resource)
  tape.flag(operation.resourceConfirmed)
  tape.text(operation.target)
  tape.text(operation.errorType)
  tape.number(operation.errorCode)
  tape.text(operation.errorMessage)
}

function readOperation(from: TapeReader): McpOperation {
  const method = readText(from)
  const isInterim = from.flag()
  const requestNumber = from.number()
  const requestText = from.text()
  return {
    method,
    isInterim,
    requestId: requestNumber ?? requestText,
    startedAt: number(from),
    endedAt: from.number(),
    resourceType: word(from),
    resource: from.text(),
    resourceConfirmed: from.flag(),
    target: from.text(),
    errorType: word(from),
    errorCode: from.number(),
    errorMessage: from.text(),
  }
}

function writeCall(tape: Tape, call: McpCall): void {
  tape.ownText(call.spanId)
  tape.text(call.method)
  tape.text(call.target)
  tape.text(call.endpoint)
  tape.text(call.transport)
  tape.number(call.startedAt)
  tape.number(call.connectMs)
  tape.number(call.endedAt)
  tape.number(call.status)
  tape.text(call.sessionId)
  tape.text(call.errorType)
  tape.number(call.errorCode)
  tape.text(call.errorMessage)
}

function readCall(from: TapeReader, operations: readonly McpOperation[]): McpCall | undefined {
  const operation = operations[from.count() ?? 0]
  const call = {
    spanId: ownWord(from),
    method: readText(from),
    target: readText(from),
    endpoint: readText(from),
    transport: word<McpCall['transport']>(from),
    startedAt: number(from),
    connectMs: from.number(),
    endedAt: from.number(),
    status: from.number(),
    sessionId: from.text(),
    errorType: word<McpCall['errorType']>(from),
    errorCode: from.number(),
    errorMessage: from.text(),
  }
  return operation && { ...call, operation }
}
