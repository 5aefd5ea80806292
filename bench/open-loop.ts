/**
 * Requests at a fixed rate, whatever became of the earlier ones, each measured from when it was due.
 *
 * A stall counts for everybody who waited, not only for the one request that met it ("coordinated omission").
 */
import { Worker } from 'node:worker_threads'
import { now } from './clock.ts'
import { type Address, type Connection, connect, connectAll } from './connection.ts'
import { type Durations, durations } from './histogram.ts'

const CONNECTIONS = 64
const LEAD_IN_MS = 300

export interface Asked {
  readonly bytes: Buffer
  readonly onBody?: (piece: Buffer) => void
  /** Looked at when the answer is whole. */
  readonly isRight?: () => boolean
}

export interface Due {
  /** In milliseconds of `now()`. */
  readonly at: number
  /** False in the lead-in. */
  readonly counts: boolean
}

export interface Paced {
  readonly latencies: Durations
  /** From when a request was due to when the generator took it up: what the generator itself added. */
  readonly lags: Durations
  /** The lead-in included. */
  readonly requests: number
  /** Broken connections, and answers that are no success or not the right ones. */
  readonly errors: number
}

export interface Pace {
  /** Requests per second. */
  readonly rate: number
  readonly seconds: number
}

const MAX_ERRORS = 100
const PATIENCE_MS = 30_000

/** The first requests, for a moment, are not measured. */
export async function openLoop(
  address: Address,
  { rate, seconds }: Pace,
  ask: (due: Due) => Asked,
): Promise<Paced> {
  const connections = await connectAll(address, CONNECTIONS)
  const idle = [...connections]
  /** Requests for which no connection was free. */
  const queue: Due[] = []
  const latencies = durations()
  const lags = durations()
  const intervalMs = 1000 / rate
  const startsAt = now() + 200
  const countsFrom = startsAt + LEAD_IN_MS
  const count = Math.round((seconds + LEAD_IN_MS / 1000) * rate)
  let errors = 0
  let over = 0
  let patience: NodeJS.Timeout | undefined

  await new Promise<void>((resolve, reject) => {
    const pacer = new Worker(new URL('children/pacer.ts', import.meta.url), {
      workerData: { startsAt, intervalMs, count },
    })
    function done(failed: boolean): void {
      if (failed && ++errors > MAX_ERRORS) reject(new Error(`more than ${MAX_ERRORS} requests failed`))
      if (++over === count) resolve()
    }
    function send(connection: Connection, due: Due): void {
      const { bytes, onBody, isRight } = ask(due)
      connection.request(bytes, onBody).then(
        (status) => {
          if (due.counts) latencies.record(now() - due.at)
          free(connection)
          done(status !== 200 || isRight?.() === false)
        },
        () => {
          connect(address).then((another) => {
            connections.push(another)
            free(another)
          }, reject)
          done(true)
        },
      )
    }
    function free(connection: Connection): void {
      const next = queue.shift()
      if (next === undefined) idle.push(connection)
      else send(connection, next)
    }
    pacer.on('message', (index: number) => {
      const at = startsAt + index * intervalMs
      const due = { at, counts: at >= countsFrom }
      if (due.counts) lags.record(now() - at)
      const connection = idle.pop()
      if (connection === undefined) queue.push(due)
      else send(connection, due)
    })
    pacer.once('error', reject)
    pacer.once('exit', () => {
      if (over === count) return
      patience = setTimeout(() => {
        reject(new Error(`${count - over} requests were not answered within ${PATIENCE_MS / 1000} s`))
      }, PATIENCE_MS)
    })
  }).finally(() => {
    clearTimeout(patience)
    for (const connection of connections) connection.close()
  })
  return { latencies, lags, requests: count, errors }
}
