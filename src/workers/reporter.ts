/**
 * What a worker has to report, gathered: metrics, log lines and records of the same requests go in one message, so that
 * they agree whenever a worker is killed.
 *
 * The first request after a pause is reported at once, the others soon: what is lost with a process is what it has not
 * said, and a message costs the same whatever is in it. While the primary does not take what was sent nothing more is
 * sent, and what waits is bounded where it waits.
 */

import type { DataPlaneOptions } from '../data-plane.ts'
import { finishedOf } from '../keeping.ts'
import type { WrittenRecords } from '../store/messages.ts'
import { createOutbox } from '../store/outbox.ts'
import type { Signal } from '../telemetry/metrics.ts'
import type { Reporting } from '../telemetry/metrics-report.ts'
import { createLineQueue } from './line-queue.ts'
import type { Link } from './link.ts'
import type { Questions, Told } from './messages.ts'

/** Between two reports. */
const GATHER_MS = 5
/** For what changes without a request. */
const LONGEST_MS = 250
/** Every so many times all is told that there is: what is only measured when somebody asks. */
const ALL_EACH = 20

export interface Reporter {
  /** A line of the log. */
  readonly write: (line: string) => void
  readonly keep: NonNullable<DataPlaneOptions['keep']>
  /** Now, with all that there is. */
  readonly report: () => void
  readonly close: () => void
}

export function createReporter(
  link: Link<Questions, Told>,
  reporting: Reporting,
  onDropped: (signal: Signal, count: number) => void,
  /** Writes and keeps what is still to be told of finished requests. */
  tell: () => void,
): Reporter {
  const lines = createLineQueue((count) => onDropped('logs', count))
  let records: WrittenRecords[] = []
  const outbox = createOutbox(
    (batch) => {
      records.push(batch)
      return true
    },
    (count) => onDropped('requests', count),
  )
  let lastAt = 0
  let isDue = false
  let isSending = false

  function soon(): void {
    if (isDue || isSending) return
    isDue = true
    const wait = lastAt + GATHER_MS - performance.now()
    if (wait > 0) setTimeout(due, wait)
    else setImmediate(due)
  }

  function due(): void {
    isDue = false
    if (!isSending) report(false)
  }

  function report(all: boolean): void {
    // Before the metrics: what is dropped is counted in the same report.
    tell()
    outbox.flush()
    const metrics = reporting.report(all)
    const log = lines.take()
    if (metrics === undefined && log === undefined && records.length === 0) return
    const sent = records
    records = []
    lastAt = performance.now()
    isSending = true
    link.tell('report', { metrics, log, records: sent }, () => {
      isSending = false
      outbox.acknowledge(sent.length, 0)
      // What came meanwhile.
      soon()
    })
  }

  let beats = 0
  const timer = setInterval(() => {
    beats++
    if (beats % ALL_EACH === 0 && !isSending) report(true)
    else if (reporting.hasChanges()) soon()
  }, LONGEST_MS)

  return {
    write(line) {
      lines.write(line)
      soon()
    },
    keep(exchange, payload) {
      outbox.addRecord(finishedOf(exchange, payload))
      soon()
    },
    report: () => report(true),
    close: () => clearInterval(timer),
  }
}
