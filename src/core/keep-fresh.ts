/**
 * A document of the identity provider, kept and renewed.
 *
 * A provider that is down costs no request its answer while there is an older document, and no more than one
 * request its patience: once a renewal has failed, later ones run behind the callers' backs.
 */

const FRESH_MS = 10 * 60_000
/** Between renewals of a document that is there, be it refused or asked for by a caller who misses something. */
const COOL_DOWN_MS = 30_000
/** Between tries while there is no document at all. */
const RETRY_MS = 5_000

export interface Kept<T> {
  /** Rejects with the last failure when there is no document. */
  readonly current: () => Promise<T>
  /** For who misses something in the document; the one at hand when it was renewed for that reason just now. */
  readonly renewed: () => Promise<T>
}

export function keepFresh<T>(load: () => Promise<T>, now: () => number): Kept<T> {
  let held: { readonly value: T; readonly at: number } | undefined
  let failure: { readonly error: unknown; readonly at: number } | undefined
  let pending: Promise<void> | undefined
  let forcedAt = Number.NEGATIVE_INFINITY

  async function attempt(): Promise<void> {
    try {
      held = { value: await load(), at: now() }
      failure = undefined
    } catch (error) {
      failure = { error, at: now() }
    }
  }

  function renew(): Promise<void> {
    pending ??= attempt().finally(() => {
      pending = undefined
    })
    return pending
  }

  function value(): T {
    if (held === undefined) throw failure?.error ?? new Error('nothing was fetched yet')
    return held.value
  }

  const failedWithin = (ms: number) => failure !== undefined && now() - failure.at < ms

  return {
    async current() {
      if (held === undefined) {
        if (pending !== undefined || !failedWithin(RETRY_MS)) await renew()
      } else if (now() - held.at >= FRESH_MS) {
        if (failure === undefined) await renew()
        else if (!failedWithin(COOL_DOWN_MS)) void renew()
      }
      return value()
    },
    async renewed() {
      if (pending === undefined && (now() - forcedAt < COOL_DOWN_MS || failedWithin(COOL_DOWN_MS)))
        return value()
      forcedAt = now()
      await renew()
      return value()
    },
  }
}

/** A document from the configuration, which only a reload changes. */
export function neverChanging<T>(value: T): Kept<T> {
  const current = async () => value
  return { current, renewed: current }
}
