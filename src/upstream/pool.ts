/**
 * The connections to one upstream, and those who wait for one.
 *
 * A connection that has done a request takes its next one after the event loop has looked at all its sockets once more,
 * from the beginning: one that the other side has closed meanwhile, or has sent something on that nobody asked for, is
 * out by then.
 */
import type { Socket } from 'node:net'
import type { Connect } from './connect.ts'
import { Connection, type ConnectionOwner, type Requester, readsFor } from './connection.ts'
import { HttpError } from './http-error.ts'
import { Queue } from './queue.ts'

export interface PoolSettings {
  readonly connect: Connect
  readonly isPlain: boolean
  readonly mostConnections: number
  readonly idleMs: number
  /** A connection was opened, and how long that took. */
  readonly onConnected: (seconds: number) => void
}

/** Before the other side closes a connection, it is not used any more. */
const MARGIN_MS = 2000

export interface Waiting extends Requester {
  /** Whose failure to come is the request's. */
  comes: Connection | undefined
}

export class Pool implements ConnectionOwner {
  readonly #settings: PoolSettings
  readonly #waiting = new Queue<Waiting>()
  /** What was used last is used next. */
  #idle: Connection[] = []
  /** Free, and not looked at since. */
  #freed: Connection[] = []
  /** Freed before the turn that has begun. */
  #looked: Connection[] = []
  readonly #all: Connection[] = []
  /** How many of them are not there yet. */
  #coming = 0
  #isFlushing = false
  #isClosed = false
  /** What everybody hears from the end on. */
  #ended: HttpError | undefined
  #sweep: NodeJS.Timeout | undefined
  #sweepAt = Infinity

  constructor(settings: PoolSettings) {
    this.#settings = settings
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  send(waiting: Waiting): void {
    this.#waiting.add(waiting)
    if (this.#ended !== undefined) {
      this.#flushSoon()
      return
    }
    const free = this.#idle.length + this.#looked.length + this.#freed.length
    if (free > 0) this.#flushSoon()
    if (free + this.#coming < this.#waiting.size) this.#open(waiting)
  }

  /** Of a request that has not been sent. */
  forget(waiting: Waiting): void {
    this.#waiting.remove(waiting)
    waiting.comes?.close()
    if (this.#isClosed && this.#waiting.size === 0) this.#closeFree()
  }

  #flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isFlushing = false
    if (this.#ended !== undefined) {
      this.#failAll(this.#ended)
      return
    }
    for (const connection of this.#looked) if (!connection.isClosed) this.#idle.push(connection)
    this.#looked = this.#freed
    this.#freed = []
    if (this.#idle.length > 0 && this.#waiting.size > 0) this.#serve(performance.now())
    if (this.#waiting.size > 0 && this.#looked.length > 0) this.#flushSoon()
    this.#openMore()
    if (this.#isClosed && this.#waiting.size === 0) this.#closeFree()
  }

  #serve(now: number): void {
    while (this.#waiting.size > 0) {
      const connection = this.#takeIdle(now)
      if (connection === undefined) return
      const waiting = this.#waiting.take()
      if (waiting !== undefined) connection.send(waiting)
    }
  }

  #takeIdle(now: number): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined) return undefined
      if (connection.expiresAt <= now) connection.close()
      else if (!connection.isClosed) return connection
    }
  }

  #openMore(): void {
    while (this.#looked.length + this.#coming < this.#waiting.size) {
      const waiting = this.#waiting.find(isAlone)
      if (waiting === undefined || !this.#open(waiting)) return
    }
  }

  #open(waiting: Waiting): boolean {
    if (this.#all.length >= this.#settings.mostConnections) return false
    const connection = new Connection(this, this.#settings.isPlain)
    this.#all.push(connection)
    this.#coming++
    waiting.comes = connection
    const startedAt = performance.now()
    const came = (error: Error | undefined, socket?: Socket) => {
      waiting.comes = undefined
      connection.stop = undefined
      this.#coming--
      if (error !== undefined || socket === undefined) {
        this.#failed(connection, waiting, error)
        return
      }
      this.#settings.onConnected((performance.now() - startedAt) / 1000)
      connection.take(socket)
      this.#came(connection, waiting)
    }
    try {
      connection.stop = this.#settings.connect(readsFor(connection), came)
    } catch (error) {
      const later = setImmediate(came, error instanceof Error ? error : new Error(String(error)))
      connection.stop = () => clearImmediate(later)
    }
    return true
  }

  #failed(
    connection: Connection,
    whose: Waiting,
    error: Error = new HttpError('closed', 'no connection'),
  ): void {
    connection.close()
    // Or whoever counted on one that was for another.
    const failed = this.#waiting.remove(whose) ? whose : this.#waiting.find(isAlone)
    if (failed !== undefined) {
      this.#waiting.remove(failed)
      failed.onError(error)
    }
    this.#openMore()
  }

  #came(connection: Connection, whose: Waiting): void {
    const waiting = this.#waiting.remove(whose) ? whose : this.#waiting.take()
    if (waiting === undefined) {
      this.onFree(connection, undefined)
      return
    }
    connection.send(waiting)
  }

  onFree(connection: Connection, keptMs: number | undefined): void {
    const { idleMs } = this.#settings
    const stays = keptMs === undefined ? idleMs : Math.min(keptMs - MARGIN_MS, Math.max(idleMs, 600_000))
    if (stays <= 0 || (this.#isClosed && this.#waiting.size === 0)) {
      connection.close()
      return
    }
    const now = performance.now()
    connection.expiresAt = now + stays
    this.#freed.push(connection)
    if (this.#waiting.size > 0) this.#flushSoon()
    this.#sweepBy(connection.expiresAt, now)
  }

  #sweepBy(at: number, now: number): void {
    if (at >= this.#sweepAt) return
    clearTimeout(this.#sweep)
    this.#sweepAt = at
    this.#sweep = setTimeout(this.#sweepIdle, at - now + 1).unref()
  }

  readonly #sweepIdle = (): void => {
    this.#sweepAt = Infinity
    const now = performance.now()
    let next = Infinity
    for (const connection of this.#free()) {
      if (connection.expiresAt <= now) connection.close()
      else if (!connection.isClosed) next = Math.min(next, connection.expiresAt)
    }
    this.#idle = this.#idle.filter(isOpen)
    this.#freed = this.#freed.filter(isOpen)
    this.#looked = this.#looked.filter(isOpen)
    this.#sweepBy(next, now)
  }

  onClosed(connection: Connection): void {
    const last = this.#all.pop()
    if (last !== undefined && last !== connection) this.#all[this.#all.indexOf(connection)] = last
    if (connection.stop !== undefined) {
      connection.stop()
      connection.stop = undefined
      this.#coming--
    }
    if (this.#waiting.size > 0) this.#flushSoon()
  }

  #free(): Connection[] {
    return [...this.#idle, ...this.#looked, ...this.#freed]
  }

  #closeFree(): void {
    for (const connection of this.#free()) connection.close()
  }

  /** Those who wait are served yet. */
  close(): void {
    this.#isClosed = true
    if (this.#waiting.size === 0) this.#closeFree()
  }

  /** At once: resolves when the last connection is gone. */
  async destroy(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#sweep)
    const error = new HttpError('closed', 'the gateway closes')
    this.#ended = error
    const all = [...this.#all]
    for (const connection of all) connection.close(error)
    this.#failAll(error)
    await Promise.all(all.map(({ gone }) => gone))
  }

  /** With those who come because of it: a failure may let the next one have its turn. */
  #failAll(error: HttpError): void {
    for (let waiting = this.#waiting.take(); waiting !== undefined; waiting = this.#waiting.take())
      waiting.onError(error)
  }
}

const isAlone = ({ comes }: Waiting) => comes === undefined

const isOpen = ({ isClosed }: Connection) => !isClosed
