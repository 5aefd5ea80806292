/**
 * Loaded into a gateway's process before its own code: counts there what a request makes it do, and answers its parent.
 *
 * - `allocated`: bytes of JavaScript's heap, by V8's sampling profiler with what has been collected already: each sample
 *   stands for `SAMPLE_BYTES` on average.
 * - `copied`: bytes that went from one buffer into another, or from text into a buffer, by Node's own ways to do so.
 * - `held`: bytes that are still in use.
 */
import { Session } from 'node:inspector'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const SAMPLE_BYTES = 2048

interface Profile {
  readonly selfSize: number
  readonly children: readonly Profile[]
}

let copied = 0

type Anything = (...args: unknown[]) => unknown

/** `measure` tells how many bytes a call has moved, from its result, its arguments and its `this`. */
function counting(
  owner: object,
  name: string,
  measure: (result: unknown, args: readonly unknown[], self: unknown) => number,
): void {
  const original = Reflect.get(owner, name) as Anything
  Reflect.set(owner, name, function (this: unknown, ...args: unknown[]) {
    const result = original.apply(this, args)
    copied += measure(result, args, this)
    return result
  })
}

const lengthOf = (value: unknown) => (value instanceof Uint8Array ? value.length : 0)
const number = (value: unknown) => (typeof value === 'number' ? value : 0)

counting(Buffer, 'concat', lengthOf)
counting(Buffer, 'from', (result, [source]) =>
  typeof source === 'string' || source instanceof Uint8Array ? lengthOf(result) : 0,
)
counting(Buffer.prototype, 'copy', number)
counting(Buffer.prototype, 'write', number)
counting(Buffer.prototype, 'toString', (result) => String(result).length)
counting(Object.getPrototypeOf(Uint8Array.prototype) as object, 'set', (_, [source]) => lengthOf(source))

const session = new Session()
session.connect()

function post(method: 'HeapProfiler.startSampling' | 'HeapProfiler.stopSampling', parameters = {}): unknown {
  let answer: unknown
  session.post(method as 'HeapProfiler.stopSampling', parameters as never, (error, result) => {
    if (error !== null) throw new Error(error.message)
    answer = result
  })
  return answer
}

const sum = ({ selfSize, children }: Profile): number =>
  children.reduce((total, child) => total + sum(child), selfSize)

export type Counting = 'start' | 'stop' | 'hold'

/** What is left when all has been collected that nobody holds: bytes. */
export interface Held {
  readonly heap: number
  readonly buffers: number
}

/** There from the next context on. */
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function held(): Held {
  // Buffers that the first finds are let go of in the background: the second waits for that.
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers }
}

export interface Counted {
  readonly allocated: number
  readonly copied: number
}

process.on('message', (message: Counting) => {
  if (message === 'start') {
    copied = 0
    post('HeapProfiler.startSampling', {
      samplingInterval: SAMPLE_BYTES,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
    process.send?.('started')
  } else if (message === 'hold') {
    // What is put off to the next turns of the event loop is done first.
    setImmediate(() => setImmediate(() => process.send?.(held())))
  } else {
    const { profile } = post('HeapProfiler.stopSampling') as { readonly profile: { readonly head: Profile } }
    process.send?.({ allocated: sum(profile.head), copied } satisfies Counted)
  }
})
process.channel?.unref()
