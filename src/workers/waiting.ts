/** How long to wait for other processes, and for which of them. */

/** The other process is gone. */
export const isClosed = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'closed'

/**
 * Rejects when one of them cannot, and not before all have answered. One that ended meanwhile has no say, for another
 * with the configuration in force takes its place; unless nobody is left.
 */
export async function agreed(answers: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(answers)
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  const refusal = failures.find((error) => !isClosed(error))
  if (refusal !== undefined) throw refusal
  if (failures.length > 0 && failures.length === answers.length)
    throw new Error('all worker processes ended while they read it', { cause: failures[0] })
}

/** Rejects when the time is over, or when `signal` says that it does not matter any more. */
export async function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  problem: string,
  signal?: AbortSignal,
): Promise<T> {
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(() => over.reject(new Error(problem)), milliseconds)
  const abort = () => over.reject(new Error('the gateway ends'))
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, over.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
