/**
 * Lines to a file descriptor, in batches, in the background: the log's reader may be slow, stuck or gone, and no
 * request notices. What does not fit is dropped and counted.
 *
 * A full pipe would block a thread of Node's pool, and `process.exit` waits for that thread for ever. So a pipe is
 * opened once more through `/proc`, without blocking: that flag then belongs to our copy alone and not to whoever
 * else holds the pipe (the shell, a child).
 */
import { closeSync, constants, fstatSync, openSync, write as writeAsync, writeSync } from 'node:fs'
import { Socket } from 'node:net'

export interface LogWriterOptions {
  /** Default 1: standard output. */
  readonly fd?: number
  /** Bytes that may wait; a line that does not fit is dropped. */
  readonly maxQueuedBytes?: number
  /** How long lines are gathered into one write. */
  readonly gatherMs?: number
  /** Called with the number of lines that were just lost: the queue was full, or their write failed. */
  readonly onDropped?: (lines: number) => void
}

const BATCH_BYTES = 256 * 1024
/** A write costs a thread's wake-up. While there is always something to write, one is enough in so long. */
const BUSY_GATHER_MS = 50
const FIRST_BYTES = 16 * 1024
/** Memory that is kept for the lines to come, if it has not grown beyond. */
const MAX_SPARE_BYTES = 2 * BATCH_BYTES

/** Of UTF-8, for one unit of UTF-16. */
const MAX_BYTES = 3
const LONGEST_PAUSE_MS = 50

const NEWLINE = 10
const EMPTY = Buffer.alloc(0)

export class LogWriter {
  readonly #target: Target
  readonly #maxQueuedBytes: number
  readonly #gatherMs: number
  readonly #onDropped: (lines: number) => void

  /**
   * Lines that wait, `#queuedBytes` of it: copied at once, as the text of a line is a tree of its parts until somebody
   * reads it, and many small objects that wait are what a collector of garbage has to move.
   */
  #queue: Buffer = EMPTY
  #queuedBytes = 0
  #queuedLines = 0
  /** What was written from: new memory is what the kernel has to find and to empty, page by page. */
  #spare: Buffer = EMPTY
  /** Being written, from `#offset` on. */
  #batch: Buffer | undefined
  #offset = 0
  #batchLines = 0
  /** The last batch failed halfway through a line: the next one must not continue it. */
  #isTorn = false

  #timer: NodeJS.Timeout | undefined
  #pauseMs = 1
  #isInKernel = false
  #isClosed = false
  /** Lines taken in, and lines that are out or lost, since the start. */
  #taken = 0
  #settled = 0
  #flushes: { readonly upTo: number; readonly done: () => void }[] = []

  constructor(options: LogWriterOptions = {}) {
    const { fd = 1, maxQueuedBytes = 4 * 1024 * 1024, gatherMs = 10, onDropped = () => {} } = options
    this.#target = withoutBlocking(fd)
    this.#maxQueuedBytes = maxQueuedBytes
    this.#gatherMs = gatherMs
    this.#onDropped = onDropped
    process.once('exit', this.flushSync)
  }

  /** `line` ends with its newline. Never blocks, never throws. */
  write(line: string): void {
    if (this.#isClosed || this.#queuedBytes + line.length > this.#maxQueuedBytes) {
      this.#drop(1)
      return
    }
    this.#append(line)
    this.#queuedLines++
    this.#taken++
    this.#pumpSoon()
  }

  /** Lines of another process, so many, each with its newline: all of them, or none. */
  writeAll(bytes: Uint8Array, lines: number): void {
    if (this.#isClosed || this.#queuedBytes + bytes.length > this.#maxQueuedBytes) {
      this.#drop(lines)
      return
    }
    this.#makeRoom(bytes.length)
    this.#queue.set(bytes, this.#queuedBytes)
    this.#queuedBytes += bytes.length
    this.#queuedLines += lines
    this.#taken += lines
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#batch !== undefined) return
    if (this.#queuedBytes >= BATCH_BYTES) this.#pump()
    else if (this.#timer === undefined) this.#pumpIn(this.#gatherMs)
  }

  /** True when all lines written before are out (or counted as dropped); false at the deadline. */
  flush(timeoutMs: number): Promise<boolean> {
    const upTo = this.#taken
    if (this.#settled >= upTo) return Promise.resolve(true)
    return new Promise((resolve) => {
      const deadline = setTimeout(() => {
        this.#flushes = this.#flushes.filter((flush) => flush.done !== done)
        resolve(false)
      }, timeoutMs)
      const done = () => {
        clearTimeout(deadline)
        resolve(true)
      }
      this.#flushes.push({ upTo, done })
      this.#pump()
    })
  }

  /**
   * Writes what waits without the event loop, as far as the descriptor takes it at once. Runs by itself when the
   * process exits; a batch that is in the kernel's hands then is finished by its own thread.
   */
  readonly flushSync = (): void => {
    if (this.#isInKernel) this.#batch = undefined
    try {
      while (this.#takeBatch() && this.#batch !== undefined) {
        this.#advance(writeSync(this.#target.fd, this.#batch, this.#offset))
      }
    } catch {
      this.#abandon()
    }
  }

  /** Lines still waiting at the deadline are counted as dropped; so is everything written later. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.flush(timeoutMs)
    clearTimeout(this.#timer)
    process.removeListener('exit', this.flushSync)
    this.#abandon()
    if (!this.#isInKernel) this.#closeFd()
  }

  #pumpIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#pump(), ms)
    this.#timer.unref()
  }

  #pumpNext(): void {
    const isUrgent = this.#batch !== undefined || this.#flushes.length > 0 || this.#queuedBytes >= BATCH_BYTES
    if (isUrgent) this.#pump()
    else if (this.#queuedBytes > 0) this.#pumpIn(Math.max(this.#gatherMs, BUSY_GATHER_MS))
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#isInKernel || !this.#takeBatch() || this.#batch === undefined) return
    this.#isInKernel = true
    const length = this.#batch.length - this.#offset
    writeAsync(this.#target.fd, this.#batch, this.#offset, length, null, (error, written) => {
      this.#isInKernel = false
      if (this.#batch === undefined) this.#closeFd()
      else if (error === null) {
        this.#pauseMs = 1
        this.#advance(written)
        this.#pumpNext()
      } else if (error.code === 'EAGAIN' || error.code === 'EINTR') {
        this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
        this.#pumpIn(this.#pauseMs)
      } else {
        this.#fail()
        if (this.#queuedBytes > 0) this.#pumpIn(this.#gatherMs)
      }
    })
  }

  /** Whether there is something to write. */
  #takeBatch(): boolean {
    if (this.#batch !== undefined) return true
    if (this.#queuedBytes === 0) return false
    const queued = this.#queue.subarray(0, this.#queuedBytes)
    this.#batch = this.#isTorn ? afterNewline(queued) : queued
    this.#isTorn = false
    this.#offset = 0
    this.#batchLines = this.#queuedLines
    this.#forgetQueue()
    return true
  }

  #advance(written: number): void {
    this.#offset += written
    if (this.#batch !== undefined && this.#offset < this.#batch.length) return
    this.#keepSpare(this.#batch)
    this.#batch = undefined
    this.#settle(this.#batchLines)
  }

  #keepSpare(batch: Buffer | undefined): void {
    const memory = batch?.buffer.byteLength ?? 0
    if (batch !== undefined && memory > this.#spare.length && memory <= MAX_SPARE_BYTES)
      this.#spare = Buffer.from(batch.buffer)
  }

  #fail(): void {
    this.#isTorn = this.#offset > 0
    this.#batch = undefined
    this.#drop(this.#batchLines)
    this.#settle(this.#batchLines)
  }

  #abandon(): void {
    this.#drop((this.#batch === undefined ? 0 : this.#batchLines) + this.#queuedLines)
    this.#batch = undefined
    this.#forgetQueue()
  }

  #append(line: string): void {
    this.#makeRoom(line.length * MAX_BYTES)
    this.#queuedBytes += this.#queue.write(line, this.#queuedBytes)
  }

  #makeRoom(bytes: number): void {
    const needed = this.#queuedBytes + bytes
    if (needed > this.#queue.length) {
      const wider = this.#takeSpare(needed)
      this.#queue.copy(wider, 0, 0, this.#queuedBytes)
      this.#queue = wider
    }
  }

  #takeSpare(needed: number): Buffer {
    const spare = this.#spare
    if (spare.length < needed)
      return Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * this.#queue.length, needed))
    this.#spare = EMPTY
    return spare
  }

  /** What was in it may be under way. */
  #forgetQueue(): void {
    this.#queue = EMPTY
    this.#queuedBytes = 0
    this.#queuedLines = 0
  }

  #closeFd(): void {
    if (this.#target.isOurs) closeSync(this.#target.fd)
  }

  #settle(lines: number): void {
    this.#settled += lines
    if (this.#flushes.length === 0) return
    const due = this.#flushes.filter((flush) => flush.upTo <= this.#settled)
    this.#flushes = this.#flushes.filter((flush) => flush.upTo > this.#settled)
    for (const flush of due) flush.done()
  }

  #drop(lines: number): void {
    if (lines > 0) this.#onDropped(lines)
  }
}

/** In memory of its own: it is kept for other lines afterwards. */
function afterNewline(queued: Buffer): Buffer {
  const batch = Buffer.allocUnsafeSlow(queued.length + 1)
  batch[0] = NEWLINE
  queued.copy(batch, 1)
  return batch
}

interface Target {
  readonly fd: number
  readonly isOurs: boolean
  /** Only kept from being collected: its end would close the descriptor. */
  readonly socket?: Socket
}

/** The same place as `fd`, where a write that has no room says EAGAIN instead of waiting; if that can be had. */
function withoutBlocking(fd: number): Target {
  try {
    const stat = fstatSync(fd)
    if (stat.isFIFO()) {
      return { fd: openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK), isOurs: true }
    }
    // A socket cannot be opened twice. Node switches blocking off when it takes it over; it never writes to it.
    if (stat.isSocket()) {
      return { fd, isOurs: false, socket: new Socket({ fd, readable: false, writable: false }).unref() }
    }
  } catch {
    // No /proc, another user's pipe, a closed descriptor, a pipe that nobody reads: the writes will tell.
  }
  return { fd, isOurs: false }
}
