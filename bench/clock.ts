/** Milliseconds of the monotonic clock; unlike `performance.now()` the same in every thread. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
