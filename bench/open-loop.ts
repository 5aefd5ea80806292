/**
 * Requests at a fixed rate, whatever became of the earlier ones, each measured from when it was due.
 *
 * A stall counts for everybody who waited, not only for the one request that met it ("coordinated omission").
 */
import { Worker } from 'node:worker_threads'
import { now } from './clock.ts'
import { type Connection, connectAll } from './connection.ts'

const CONNECTIONS = 64
export const LEAD_IN_MS = 300

export interface Asked {
  readonly bytes: Buffer
  readonly onBody?: (piece: Buffer) => void
  /** Looked at when the answer is whole. */
  readonly isRight?: () => boolean
}

export interface Paced {
  readonly latencies: readonly number[]
  readonly lags: readonly number[]
  /** Broken connections, and answers that are no success or not the right ones. */
  readonly errors: number
}

export interface Pace {
  /** Requests per second. */
  readonly rate: number
  readonly seconds: number
}

/** The first requests, for a moment, are not measured. */
export async function openLoop(port: number, { rate, seconds }: Pace, ask: () => Asked): Promise<Paced> {
  const connections = await connectAll(port, CONNECTIONS)
  const idle = [...connections]
  /** Due times of requests for which no connection was free. */
  const queue: number[] = []
  const latencies: number[] = []
  const lags: number[] = []
  const intervalMs = 1000 / rate
  const startsAt = now() + 200
  const countsFrom = startsAt + LEAD_IN_MS
  const count = Math.round((seconds + LEAD_IN_MS / 1000) * rate)
  let errors = 0
  let over = 0

  await new Promise<void>((resolve, reject) => {
    const pacer = new Worker(new URL('pacer.ts', import.meta.url), {
      workerData: { startsAt, intervalMs, count },
    })
    const done = () => {
      if (++over === count) resolve()
    }
    function send(connection: Connection, due: number): void {
      const { bytes, onBody, isRight } = ask()
      const sentAt = now()
      connection.request(bytes, onBody).then(
        (status) => {
          if (due >= countsFrom) {
            latencies.push(now() - due)
            lags.push(sentAt - due)
          }
          if (status !== 200 || isRight?.() === false) errors++
          const next = queue.shift()
          if (next === undefined) idle.push(connection)
          else send(connection, next)
          done()
        },
        () => {
          errors++
          if (errors > 100) reject(new Error(`more than ${errors - 1} requests failed`))
          done()
        },
      )
    }
    pacer.on('message', (index: number) => {
      const due = startsAt + index * intervalMs
      const connection = idle.pop()
      if (connection === undefined) queue.push(due)
      else send(connection, due)
    })
    pacer.once('error', reject)
  }).finally(() => {
    for (const connection of connections) connection.close()
  })
  return { latencies, lags, errors }
}
