/** What a client sends, before anybody knows what it wants: its `Accept`, and the messages of its body. */
import type { Headers } from '../core/headers.ts'
import { RPC_ERRORS, type RpcMessage, readMessage } from './json-rpc.ts'
import { Refusal } from './refusal.ts'

/** Whether `Accept` names the type, or a range that holds it, and does not refuse it. RFC 9110 section 12.5.1. */
export function accepts({ accept }: Headers, type: string): boolean {
  const [kind] = type.split('/')
  const qualityOf = (wanted: string) => {
    for (const range of String(accept ?? '').split(',')) {
      const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      if (name === wanted) return Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1)
    }
    return undefined
  }
  return (qualityOf(type) ?? qualityOf(`${kind}/*`) ?? qualityOf('*/*') ?? 0) > 0
}

const MAX_BATCH = 100
/** What can be read can not always be written again. */
const MAX_DEPTH = 1000

export interface Messages {
  readonly messages: readonly RpcMessage[]
  readonly isBatch: boolean
}

/** Throws `Refusal`. */
export function readBody(body: Buffer): Messages {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : ''
    throw new Refusal(400, RPC_ERRORS.parse, `Parse error: the body is not JSON (${detail})`, { cause })
  }
  const invalid = (what: string) => new Refusal(400, RPC_ERRORS.invalidRequest, `Invalid Request: ${what}`)
  if (isTooDeep(parsed)) throw invalid('nested too deeply')
  const isBatch = Array.isArray(parsed)
  const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  if (list.length === 0 || list.length > MAX_BATCH) throw invalid(`a batch has 1 to ${MAX_BATCH} messages`)
  const messages = list.map((one, index) => {
    const message = readMessage(one)
    if (typeof message !== 'string') return message
    throw invalid(isBatch ? `${message} (message ${index})` : message)
  })
  return { messages, isBatch }
}

function isTooDeep(root: unknown): boolean {
  let level: unknown[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true
    const next: unknown[] = []
    for (const value of level)
      if (typeof value === 'object' && value !== null)
        for (const inner of Object.values(value))
          if (typeof inner === 'object' && inner !== null) next.push(inner)
    level = next
  }
  return false
}
