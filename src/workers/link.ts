/**
 * What the two ends of a channel between processes tell and ask each other.
 *
 * A message between processes costs some 30 us whatever is in it, so all that comes up in one turn of the event loop
 * goes as one; order is kept, also between what is asked and what is told.
 */

/** Questions by their names: what is asked, and what is answered. Both ends may ask. */
type Questions<Q> = Record<keyof Q, (body: never) => unknown>

type Answer<F> = F extends (body: never) => infer R ? Awaited<R> : never
type Question<F> = F extends (body: infer B) => unknown ? B : never

/** `Q` holds the questions, `T` what is only told. Bodies are copied: plain data, numbers, bytes, maps, dates. */
export interface Link<Q extends Questions<Q>, T> {
  /** Rejects with a `LinkError` when the other end fails, or is gone. */
  readonly ask: <K extends keyof Q & string>(type: K, body: Question<Q[K]>) => Promise<Answer<Q[K]>>
  /** Is lost when the other end is gone. `sent` is called when the system has taken it, or nobody ever will. */
  readonly tell: <K extends keyof T & string>(type: K, body: T[K], sent?: () => void) => void
  readonly onAsk: <K extends keyof Q & string>(
    type: K,
    answer: (body: Question<Q[K]>) => Answer<Q[K]> | Promise<Answer<Q[K]>>,
  ) => void
  readonly onTell: <K extends keyof T & string>(type: K, take: (body: T[K]) => void) => void
  /** Sends at once what waits for the end of this turn: for a process that is about to end. */
  readonly flush: () => void
  /** The other end is gone. */
  readonly closed: Promise<void>
}

/** The other end could not answer; `code` is that of its error, or `closed`. */
class LinkError extends Error {
  override readonly name = 'LinkError'
  readonly code: string | undefined

  constructor(message: string, code: string | undefined) {
    super(message)
    this.code = code
  }
}

type Message =
  | readonly [kind: 'tell', type: string, body: unknown]
  | readonly [kind: 'ask', type: string, body: unknown, id: number]
  | readonly [kind: 'answer', id: number, body: unknown]
  | readonly [kind: 'failure', id: number, message: string, code: string | undefined]

/** Those of one turn. */
export type Batch = readonly Message[]

export interface Channel {
  /** Never throws. `sent` is called later, however it ends. */
  readonly send: (batch: Batch, sent: () => void) => void
  readonly onMessage: (take: (batch: Batch) => void) => void
  /** At once when it is closed already. */
  readonly onClosed: (take: () => void) => void
}

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: LinkError) => void
}

export function createLink<Q extends Questions<Q>, T>(channel: Channel): Link<Q, T> {
  const answerers = new Map<string, (body: never) => unknown>()
  const takers = new Map<string, (body: never) => void>()
  const asked = new Map<number, Waiting>()
  const closed = Promise.withResolvers<void>()
  let isClosed = false
  let nextId = 0
  let batch: Message[] = []
  /** Who waits for the batch to be sent. */
  let senders: (() => void)[] = []
  let timer: NodeJS.Immediate | undefined

  function flush(): void {
    clearImmediate(timer)
    timer = undefined
    if (batch.length === 0) return
    const messages = batch
    const waiting = senders
    batch = []
    senders = []
    channel.send(messages, () => {
      for (const sent of waiting) sent()
    })
  }

  function send(message: Message, sent?: () => void): void {
    if (isClosed) {
      if (sent !== undefined) setImmediate(sent)
      return
    }
    batch.push(message)
    if (sent !== undefined) senders.push(sent)
    timer ??= setImmediate(flush)
  }

  async function answer(type: string, body: unknown, id: number): Promise<void> {
    try {
      const answerer = answerers.get(type)
      if (answerer === undefined) throw new Error(`nobody answers ${type}`)
      send(['answer', id, await answerer(body as never)])
    } catch (error) {
      send(['failure', id, error instanceof Error ? error.message : String(error), codeOf(error)])
    }
  }

  function settled(id: number): Waiting | undefined {
    const waiting = asked.get(id)
    asked.delete(id)
    return waiting
  }

  function receive(message: Message): void {
    switch (message[0]) {
      case 'tell':
        takers.get(message[1])?.(message[2] as never)
        break
      case 'ask':
        void answer(message[1], message[2], message[3])
        break
      case 'answer':
        settled(message[1])?.resolve(message[2] as never)
        break
      case 'failure':
        settled(message[1])?.reject(new LinkError(message[2], message[3]))
        break
      default:
        message satisfies never
    }
  }

  channel.onMessage((received) => {
    for (const message of received) {
      try {
        receive(message)
      } catch (error) {
        // As if each had come by itself: the others are taken all the same.
        process.nextTick(() => {
          throw error
        })
      }
    }
  })
  channel.onClosed(() => {
    if (isClosed) return
    isClosed = true
    clearImmediate(timer)
    batch = []
    for (const sent of senders) sent()
    senders = []
    for (const { reject } of asked.values()) reject(new LinkError('the other process is gone', 'closed'))
    asked.clear()
    closed.resolve()
  })

  return {
    ask(type, body) {
      return new Promise((resolve, reject) => {
        if (isClosed) return reject(new LinkError('the other process is gone', 'closed'))
        const id = nextId++
        asked.set(id, { resolve, reject })
        send(['ask', type, body, id])
      })
    },
    tell: (type, body, sent) => send(['tell', type, body], sent),
    onAsk(type, answerer) {
      answerers.set(type, answerer)
    },
    onTell(type, take) {
      takers.set(type, take)
    },
    flush,
    closed: closed.promise,
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What a child has said last is read after its end. */
const READ_MS = 1000

/** A process's end of the channel to its parent or to a child: `process`, or what `fork` returned. */
interface Peer {
  readonly connected: boolean
  readonly send?:
    | ((message: Batch, handle: undefined, options: undefined, done: () => void) => boolean)
    | undefined
  readonly on: ((event: 'message', take: (message: Batch) => void) => unknown) &
    ((event: 'disconnect' | 'exit', take: () => void) => unknown)
}

/** Both processes have to be connected with `serialization: 'advanced'`. */
export function channelOf(peer: Peer): Channel {
  return {
    send(batch, sent) {
      // Whoever goes while it is being sent is said to be gone by 'disconnect'.
      if (peer.connected && peer.send !== undefined) peer.send(batch, undefined, undefined, sent)
      else setImmediate(sent)
    },
    onMessage: (take) => void peer.on('message', take),
    onClosed(take) {
      if (!peer.connected) take()
      else {
        peer.on('disconnect', take)
        // Node does not tell of it when a child died in the middle of a message. What came whole is read by then.
        if (peer !== process) peer.on('exit', () => setTimeout(take, READ_MS))
      }
    },
  }
}
