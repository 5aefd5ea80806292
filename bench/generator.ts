/**
 * When a measurement tells of the load generator, or of whatever else runs, instead of what it loads.
 *
 * Each function gives the reason in words, or nothing. The upstream counts as a part of the generator.
 */
import { number, percent } from './table.ts'

/** As late as the smallest aims for latencies are large. */
const LAG_P99_MS = 1
/** What is busier than this has queues of its own. */
const FULL = 0.9
/** How much more than any candidate the direct path has to bear where nobody counts who was busy. */
const HEADROOM = 1.25
/** The kernel's work for others' packets is among them, so some is always there. */
const MUCH_OTHERS = 0.2

export interface PacedRun {
  /** From when a request was due to when the generator took it up: p99. */
  readonly lagP99Ms: number
  /** Of the CPUs of generator and upstream, the fuller one: 0 to 1. */
  readonly loadBusyShare: number | undefined
}

export function pacedLimit(name: string, { lagP99Ms, loadBusyShare }: PacedRun): string[] {
  return [
    ...(lagP99Ms > LAG_P99_MS
      ? [`${name}: the generator was ${number(lagP99Ms, 2)} ms late (p99), more than ${LAG_P99_MS} ms`]
      : []),
    ...fullCpu(name, loadBusyShare),
  ]
}

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
