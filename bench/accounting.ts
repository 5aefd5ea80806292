/**
 * What processes have used, as the Linux kernel counts it.
 *
 * Everything here is undefined on other systems: the benchmark then leaves those columns out.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** What follows the command's name, which may hold spaces: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const fieldsOf = (pid: number | string) =>
  read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')

let ticksPerSecond: number | undefined
function tickMs(): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return 1000 / ticksPerSecond
}

/** User and system time of a process, all its threads, and its living children (nginx works in one). */
export function cpuMs(pid: number): number | undefined {
  const own = fieldsOf(pid)
  if (own === undefined) return undefined
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(fieldsOf)
    .filter((fields) => fields?.[1] === String(pid))
  return [own, ...children].reduce(
    (sum, fields) => sum + (Number(fields?.[11]) + Number(fields?.[12])) * tickMs(),
    0,
  )
}

/** Of a process's first thread alone: in the gateway, the one that serves requests. */
export function mainThreadMs(pid: number): number | undefined {
  const fields = fieldsOf(`${pid}/task/${pid}`)
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) * tickMs()
}

/** Of this process and of all that it has started and seen end. */
export function ownCpuMs(): number | undefined {
  const fields = fieldsOf('self')
  return fields?.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * tickMs(), 0)
}

export function residentBytes(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** Its busy times are sampled a hundred times a second and miss short work; idle time is exact. */
export function idleMs(cpu: number): number | undefined {
  const line = new RegExp(`^cpu${cpu} (.*)$`, 'm').exec(read('/proc/stat') ?? '')?.[1]
  const [, , , idle = 0, waiting = 0] = line?.split(' ').map(Number) ?? []
  return line === undefined ? undefined : (idle + waiting) * tickMs()
}

/** The CPUs that this process may use. */
export function allowedCpus(): number[] | undefined {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(read('/proc/self/status') ?? '')?.[1]
  return list?.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
}
