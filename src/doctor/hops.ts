/**
 * The stations that a request's data passes, in the order in which the doctor visits them, and what can be said of each.
 *
 * Imports nothing: the command line needs the names before anything is loaded.
 */

export const HOPS = [
  'gateway',
  'provider',
  'metrics',
  'console',
  'prometheus',
  'collector',
  'jaeger',
  'grafana',
] as const
export type HopName = (typeof HOPS)[number]

/** The provider has no address here: only the gateway knows where it is. */
export type Place = Exclude<HopName, 'provider'>

/** `collector` is `host:port`, the others are URLs. */
export type Addresses = Readonly<Record<Place, string>>

export const DEFAULT_ADDRESSES: Addresses = {
  gateway: 'http://localhost:3000',
  metrics: 'http://localhost:15020',
  console: 'http://localhost:15000',
  prometheus: 'http://localhost:9090',
  collector: 'localhost:4317',
  jaeger: 'http://localhost:16686',
  grafana: 'http://localhost:3001',
}

/** A gateway runs well without these; whoever has started one of them wants all of them. */
export const STACK = ['prometheus', 'collector', 'jaeger', 'grafana'] as const
export type StackPlace = (typeof STACK)[number]

export interface Verdict {
  /** `absent`: nothing is there, and nothing has to be. `skipped`: not wanted, or not to be told without an earlier hop. */
  readonly status: 'ok' | 'failed' | 'absent' | 'skipped'
  readonly detail: string
  /** What to do about it; only failures have one. */
  readonly advice?: string
}

export interface HopResult extends Verdict {
  readonly hop: HopName
  readonly ms: number
}

export const ok = (detail: string): Verdict => ({ status: 'ok', detail })
export const failed = (detail: string, advice: string): Verdict => ({ status: 'failed', detail, advice })
export const absent = (detail: string): Verdict => ({ status: 'absent', detail })
export const skipped = (detail: string): Verdict => ({ status: 'skipped', detail })
