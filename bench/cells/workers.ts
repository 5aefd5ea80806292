/**
 * What a request costs with two workers instead of one process, each free to run on any CPU, beside generator and upstream:
 * processes that have to share one take each other's place in its caches, which is not what workers are for.
 */
import { execFileSync } from 'node:child_process'
import type { Aim } from '../aims.ts'
import type { Measure } from '../cell.ts'
import type { Stage } from '../processes.ts'
import { paired, ratio } from '../rounds.ts'
import type { Variant } from '../targets.ts'
import { cpuMicros, saturate } from './saturation.ts'

const WORKERS = 2
const TIMES = 1.1

const SINGLE: Variant = { name: 'gateway, any CPU', on: 'anywhere' }
const PARALLEL: Variant = { name: `gateway, ${WORKERS} workers, any CPU`, workers: WORKERS, on: 'anywhere' }

const AIM: Omit<Aim, 'value'> = {
  what: `CPU time per request with ${WORKERS} workers: times that of one process`,
  bound: { atMost: TIMES },
  unit: '',
}

export const workers: Measure = async (setup, settings) => {
  if (!knowsWorkers(setup.stage)) {
    const skipped = 'this agentgateway has no --workers'
    return { skipped, aims: [{ ...AIM, value: undefined, note: skipped }] }
  }
  const { result, kept } = await saturate(setup, { ...settings, others: [] }, [SINGLE, PARALLEL])
  return {
    ...result,
    aims: [{ ...AIM, value: paired(kept, [PARALLEL.name, SINGLE.name], cpuMicros, ratio) }],
  }
}

const knowsWorkers = ({ main }: Stage) =>
  execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' }).includes('--workers')
