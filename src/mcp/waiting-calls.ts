/** Calls of clients without a session that wait for what the client has to say: between two of its requests. */
import { randomUUID } from 'node:crypto'
import type { McpCall, McpFacts, McpOperation } from '../core/exchange.ts'
import { newSpanId } from '../core/trace-context.ts'
import type { CallContext } from './asking.ts'
import type { McpBackend } from './backend.ts'
import {
  failure,
  isObject,
  type JsonObject,
  type RequestId,
  RPC_ERRORS,
  type RpcMessage,
  type RpcRequest,
  type RpcResponse,
  success,
} from './json-rpc.ts'
import { nameOf } from './modern-wire.ts'
import type { Performed } from './operation.ts'
import type { Relay } from './peer.ts'
import type { UnderWay } from './under-way.ts'

/** A call under way, whoever of the client's requests carries it just now. */
export interface Carried {
  readonly backend: McpBackend
  readonly owner: string | undefined
  readonly message: RpcRequest
  readonly relay: Questions
  readonly context: CallContext
  readonly underWay: UnderWay
  readonly work: Promise<Performed>
  /** What the record of the client's next request takes over. */
  pending: Pending
}

interface Pending {
  readonly operations: McpOperation[]
  readonly calls: McpCall[]
}

export interface WaitingCalls {
  /** Returns the state that the client sends back. */
  readonly add: (call: Carried) => string
  readonly take: (
    state: string,
    by: { readonly backend: McpBackend; readonly owner: string | undefined; readonly message: RpcRequest },
  ) => Carried | undefined
  readonly close: () => void
}

/** A person may have to be found who answers. */
const WAIT_MS = 600_000
const MAX_WAITING = 1000

export function createWaitingCalls(): WaitingCalls {
  const waiting = new Map<string, { readonly call: Carried; readonly timer: NodeJS.Timeout }>()

  function drop(state: string): Carried | undefined {
    const found = waiting.get(state)
    if (found === undefined) return undefined
    waiting.delete(state)
    clearTimeout(found.timer)
    return found.call
  }

  function giveUp(state: string): void {
    const call = drop(state)
    call?.relay.giveUp()
    call?.underWay.giveUp('the client did not come back')
  }

  return {
    add(call) {
      const state = randomUUID()
      const [oldest] = waiting.keys()
      if (waiting.size >= MAX_WAITING && oldest !== undefined) giveUp(oldest)
      const timer = setTimeout(() => giveUp(state), WAIT_MS)
      timer.unref()
      waiting.set(state, { call, timer })
      return state
    },
    take(state, { backend, owner, message }) {
      const call = waiting.get(state)?.call
      const subject = (one: RpcRequest) => `${one.method} ${nameOf(one.method, one.params)}`
      const isTheirs =
        call !== undefined &&
        call.backend === backend &&
        call.owner === owner &&
        subject(call.message) === subject(message)
      return isTheirs ? drop(state) : undefined
    },
    close() {
      for (const state of [...waiting.keys()]) giveUp(state)
    },
  }
}

/**
 * The record of a request that is answered with a question ends here; what is under way goes on in that of the
 * client's next one, from when that comes, and with spans of its own.
 */
export function divideRecord(call: Carried): void {
  const { operations, calls } = call.context.facts
  const now = performance.now()
  const pending: Pending = { operations: [], calls: [] }
  for (const [index, operation] of operations.entries()) {
    if (operation.endedAt !== undefined) continue
    pending.operations.push(operation)
    operations[index] = { ...operation, endedAt: now, isInterim: true }
  }
  for (const [index, one] of calls.entries()) {
    if (one.endedAt !== undefined) continue
    pending.calls.push(one)
    calls[index] = { ...one, endedAt: now }
  }
  call.pending = pending
}

export function carryOn(call: Carried, facts: McpFacts, requestId: RequestId): void {
  const now = performance.now()
  const { operations, calls } = call.pending
  for (const operation of operations) Object.assign(operation, { startedAt: now, requestId })
  for (const one of calls) Object.assign(one, { startedAt: now, spanId: newSpanId() })
  facts.operations.push(...operations)
  facts.calls.push(...calls)
  call.context.facts = facts
}

interface Asked {
  readonly question: RpcRequest
  readonly answer: (response: RpcResponse) => void
  isShown: boolean
}

/** What servers ask during one call, gathered for the client's next request. */
export class Questions implements Relay {
  readonly #asked = new Map<string, Asked>()
  readonly #wantsLog: boolean
  #stream: Relay | undefined
  #last = 0
  #wake: (() => void) | undefined

  constructor(stream: Relay, wantsLog: boolean) {
    this.#stream = stream
    this.#wantsLog = wantsLog
  }

  /** From here on another response of the client takes what comes; none while the client has none. */
  goOn(stream: Relay | undefined): void {
    this.#stream = stream
  }

  send(message: RpcMessage): void {
    const isLog = 'method' in message && message.method === 'notifications/message'
    if (!isLog || this.#wantsLog) this.#stream?.send(message)
  }

  ask(question: RpcRequest, answer: (response: RpcResponse) => void): void {
    this.#asked.set(`q${++this.#last}`, { question, answer, isShown: false })
    this.#wake?.()
  }

  /** Resolves when there is a question that the client has not seen. */
  async asking(): Promise<'asked'> {
    const isNew = () => [...this.#asked.values()].some(({ isShown }) => !isShown)
    while (!isNew())
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return 'asked'
  }

  /** What the client is to answer. */
  show(): JsonObject {
    const entries = [...this.#asked].map(([key, one]) => {
      one.isShown = true
      const { method, params } = one.question
      return [key, { method, ...(params && { params }) }]
    })
    return Object.fromEntries(entries)
  }

  /** Of what was shown. What was asked since is for the next round. */
  answerShown(responses: JsonObject): void {
    for (const [key, { question, answer, isShown }] of [...this.#asked]) {
      if (!isShown) continue
      const response = responses[key]
      this.#asked.delete(key)
      if (isObject(response)) answer(success(question.id, response))
      else answer(failure(question.id, RPC_ERRORS.internal, 'the client left the question without an answer'))
    }
  }

  giveUp(): void {
    this.show()
    this.answerShown({})
  }
}
