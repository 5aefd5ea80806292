/** One request at a simulated provider, from its head to its entry in the ledger. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, NO_USAGE, Refusal } from './answer.ts'
import { REQUEST_ID } from './anthropic-errors.ts'
import { watchCaller } from './caller.ts'
import { type Delivered, deliver, type Gauges } from './deliver.ts'
import { deliverFixed, type FixedAnswers } from './fixed.ts'
import type { BilledCall } from './ledger.ts'
import { type Script, scriptSchema } from './script.ts'
import type { Call, Vendor } from './vendor.ts'
import { isJson } from './wire-json.ts'

const MAX_BODY_BYTES = 32 * 1024 * 1024

export interface Desk {
  readonly vendor: Vendor
  readonly gauges: Gauges
  /** For requests that bring no script and find none queued. */
  readonly defaults: Script
  readonly queue: Script[]
  /** Undefined where each request is answered anew. */
  readonly fixed: FixedAnswers | undefined
}

/** A request before anyone has said how to answer it. */
type Unscripted = Omit<Call, 'script'>

export async function serve(
  desk: Desk,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<BilledCall> {
  const { vendor, gauges, fixed } = desk
  const receivedAt = performance.now()
  const caller = watchCaller(response)
  const received = await readBody(request)
  const url = request.url ?? '/'
  const path = url.split('?', 1)[0] ?? url
  const body = received.kind === 'whole' ? received.text : ''

  const known = fixed?.get(path, body)
  const call: Unscripted = {
    api: vendor.apiOf(path),
    method: request.method ?? 'GET',
    path,
    headers: request.headers,
    body,
    requestId: known?.requestId ?? vendor.newRequestId(),
  }
  let outcome: Decision & { readonly delivered: Delivered }
  if (known !== undefined) {
    outcome = { ...known, script: desk.defaults, delivered: await deliverFixed(response, caller, known) }
  } else {
    const decision = decide(desk, call, received.kind === 'tooLarge')
    const processingMs = Math.max(Math.round(performance.now() - receivedAt), 1)
    const answer = withHeaders(decision.answer, vendor.headers(call.requestId, processingMs))
    if (decision.answer.status < 400) fixed?.set(path, body, { answer, requestId: call.requestId })
    const delivered =
      received.kind === 'gone' ? LEFT : await deliver({ response, caller, gauges, ...decision, answer })
    outcome = { ...decision, delivered }
  }

  const { answer, script, delivered } = outcome
  return {
    ...billed(answer, delivered),
    api: call.api,
    model: answer.model,
    responseModel: answer.responseModel,
    status: response.headersSent || script.fault === 'slow-headers' ? answer.status : 0,
    streamed: answer.body.kind === 'stream',
    traceparent: headerText(request.headers.traceparent),
    headers: receivedHeaders(request),
    method: call.method,
    path: url,
    body,
    requestId: call.requestId,
    completed: delivered.end === 'whole',
    aborted: delivered.end === 'left',
    receivedAt,
    abortedAfterMs: delivered.end === 'left' ? (caller.goneAt ?? performance.now()) - receivedAt : undefined,
    endedAfterMs: performance.now() - receivedAt,
    deltas: delivered.deltas,
  }
}

const LEFT: Delivered = { end: 'left', outputTokens: 0, reasoningTokens: 0, deltas: 0 }

const withHeaders = (answer: Answer, headers: Answer['headers']): Answer => ({
  ...answer,
  headers: { ...headers, ...answer.headers },
})

/** Input is billed for every request that was accepted, output as far as it was generated. */
function billed({ usage }: Answer, { outputTokens, reasoningTokens }: Delivered) {
  return {
    inputTokens: usage.inputTokens,
    outputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    reasoningTokens,
  }
}

type Received =
  | { readonly kind: 'whole'; readonly text: string }
  | { readonly kind: 'tooLarge' }
  /** The caller left before it was complete. */
  | { readonly kind: 'gone' }

function readBody(request: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) chunks.push(chunk)
    })
    request.once('end', () => {
      if (size > MAX_BODY_BYTES) return resolve({ kind: 'tooLarge' })
      resolve({ kind: 'whole', text: Buffer.concat(chunks).toString() })
    })
    request.once('close', () => resolve({ kind: 'gone' }))
  })
}

interface Decision {
  readonly answer: Answer
  readonly script: Script
}

function decide(desk: Desk, call: Unscripted, tooLarge: boolean): Decision {
  const { vendor } = desk
  try {
    if (tooLarge) throw vendor.tooLarge()
    const script = scriptFor(desk, call)
    const answer = vendor.answer({ ...call, script })
    const failed = script.fault === 'midstream-error' && answer.body.kind === 'unary' ? 500 : 200
    const status = script.status ?? failed
    if (status >= 400) {
      const refusal = vendor.scriptedError(status, answer.model, script)
      return { answer: refused(refusal, call), script: { ...script, fault: undefined } }
    }
    return { answer: status === 200 ? answer : { ...answer, status }, script }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { answer: refused(error, call), script: {} }
  }
}

function scriptFor({ defaults, queue, fixed }: Desk, { headers }: Unscripted): Script {
  if (fixed !== undefined) return defaults
  const header = headerText(headers['x-simulate'])
  if (header === undefined) return queue.shift() ?? defaults
  try {
    return scriptSchema.parse(JSON.parse(header))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Refusal(400, JSON.stringify({ error: `x-simulate: ${reason}` }))
  }
}

function refused(refusal: Refusal, { body, requestId }: Unscripted): Answer {
  return {
    model: modelIn(body),
    responseModel: '',
    status: refusal.status,
    headers: { 'content-type': 'application/json', ...refusal.headers },
    body: { kind: 'unary', text: refusal.body.replace(REQUEST_ID, requestId) },
    usage: NO_USAGE,
  }
}

function modelIn(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    return isJson(parsed) && typeof parsed.model === 'string' ? parsed.model : ''
  } catch {
    return ''
  }
}

const headerText = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(', ') : value)

function receivedHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) headers[name] = headerText(value) ?? ''
  return headers
}
