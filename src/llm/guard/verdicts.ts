/**
 * What services have said of one request and of its answer.
 *
 * Guards are steps that do not wait. One that needs a verdict which is not there throws `Unasked`; `whenAsked` asks,
 * and runs the whole step once more, which now finds it. So a step must be one that can be run again; what was asked
 * once for a request, of the same texts, is not asked again, by no second attempt either.
 */
import type { Caller, GuardService, Question, Verdict } from './service.ts'

export interface Given {
  readonly verdict: Verdict
  readonly waitedMs: number
}

export interface Verdicts {
  /** Throws `Unasked`. */
  readonly of: (service: GuardService, question: Question) => Given
}

/** Not a fault: somebody has to be asked first. */
export class Unasked extends Error {
  override readonly name = 'Unasked'
  readonly ask: () => Promise<void>

  constructor(ask: () => Promise<void>) {
    super('a guard was not asked')
    this.ask = ask
  }
}

export function createVerdicts(caller: Caller): Verdicts {
  const known = new Map<string, Given>()

  async function ask(key: string, service: GuardService, question: Question): Promise<void> {
    const startedAt = caller.now()
    const verdict = await service.ask(question, caller)
    caller.signal.throwIfAborted()
    known.set(key, { verdict, waitedMs: caller.now() - startedAt })
    if (verdict.action === 'failed') caller.failed(service.kind, verdict.cause)
  }

  return {
    of(service, question) {
      const key = JSON.stringify([service.id, question])
      const given = known.get(key)
      if (given !== undefined) return given
      throw new Unasked(() => ask(key, service, question))
    },
  }
}

/** At once where nobody has to be asked; rejects with the caller's signal, too. */
export function whenAsked<T>(step: () => T): T | Promise<T> {
  try {
    return step()
  } catch (unasked) {
    if (!(unasked instanceof Unasked)) throw unasked
    return unasked.ask().then(() => whenAsked(step))
  }
}
