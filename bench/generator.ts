/**
 * When a measurement tells of the load generator, or of whatever else runs, instead of what it loads.
 *
 * Each function gives the reason in words, or nothing. The upstream counts as a part of the generator.
 */
import type { Durations } from './histogram.ts'
import { number, percent } from './table.ts'

/** As late as the smallest aims are large: for medians, and for the last percent. */
const LAG_P50_MS = 0.25
const LAG_P99_MS = 1
/** What is busier than this has queues of its own. */
const FULL = 0.9
/** How much more than any candidate the direct path has to bear where nobody counts who was busy. */
const HEADROOM = 1.25
/** The kernel's work for others' packets is among them, so some is always there. */
const MUCH_OTHERS = 0.2

export interface PacedRun {
  /** From when a request was due to when the generator took it up. */
  readonly lags: Pick<Durations, 'percentileMs'>
  /** Of the CPUs of generator and upstream, the fuller one: 0 to 1. */
  readonly loadBusyShare: number | undefined
}

export const pacedLimit = (name: string, { lags, loadBusyShare }: PacedRun): string[] => [
  ...late(name, 'p50', lags.percentileMs(0.5), LAG_P50_MS),
  ...fullCpu(name, loadBusyShare),
]

/** For figures of the last percent: one request in a hundred that the generator took up late is all of it. */
export const tailLimit = (
  name: string,
  { lags }: Pick<PacedRun, 'lags'>,
  mostMs: number = LAG_P99_MS,
): string[] => late(name, 'p99', lags.percentileMs(0.99), mostMs)

const late = (name: string, which: string, lagMs: number, mostMs: number): string[] =>
  lagMs > mostMs
    ? [`${name}: the generator was ${number(lagMs, 2)} ms late (${which}), more than ${mostMs} ms`]
    : []

export const fullCpu = (name: string, loadBusyShare: number | undefined): string[] =>
  loadBusyShare !== undefined && loadBusyShare > FULL
    ? [`${name}: the CPU of generator and upstream was ${percent(loadBusyShare)} busy`]
    : []

export interface SaturatedRun {
  readonly rate: number
  /** Of the proxy's CPU, by itself and by other programs: 0 to 1. */
  readonly busyShare: number | undefined
  readonly othersShare: number | undefined
}

/** At saturation the proxy has its CPU to itself and fills it: else something in front of it or behind it was the limit. */
export function saturationLimit(
  name: string,
  { rate, busyShare, othersShare }: SaturatedRun,
  directRate: number,
): string[] {
  if (directRate <= rate) return [`${name}: no slower than the direct path, ${number(directRate)}/s`]
  if (busyShare === undefined || othersShare === undefined)
    return directRate >= rate * HEADROOM
      ? []
      : [`${name}: the direct path bears ${number(directRate)}/s, less than ${HEADROOM} times as much`]
  if (othersShare > MUCH_OTHERS) return [`${name}: other programs took ${percent(othersShare)} of its CPU`]
  return busyShare + othersShare >= FULL
    ? []
    : [`${name}: its CPU was only ${percent(busyShare + othersShare)} busy`]
}

/** Failed requests are cheap ones. */
export const failures = (name: string, errors: number): string[] =>
  errors === 0 ? [] : [`${name}: ${errors} requests failed`]
