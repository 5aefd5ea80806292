/** A primary and its workers in this process, each with ports of its own: which worker is asked is the test's choice. */
import { readFileSync } from 'node:fs'
import { createBinds, keysOf } from '../../src/binds.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { settings } from '../../src/config/settings.ts'
import { createDataPlane, metricsOf, type Primary } from '../../src/data-plane.ts'
import { renderMetrics } from '../../src/telemetry/exposition.ts'
import { createLogger, parseLevels } from '../../src/telemetry/logger.ts'
import { createRegistry } from '../../src/telemetry/registry.ts'
import { linkedPair } from '../../src/workers/link.fixture.ts'
import type { Questions, Told } from '../../src/workers/messages.ts'
import { openReception } from '../../src/workers/reception.ts'

export type Line = Readonly<Record<string, unknown>>

function read(yaml: string, environment: Readonly<Record<string, string>>): Config {
  const loaded = loadConfig({ text: yaml, file: 'test.yaml', environment })
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return loaded.config
}

export async function startWorkersLab(yaml: string, count = 2) {
  const environment = { LOG_FORMAT: 'json' }
  const config = read(yaml, environment)
  const resolved = settings(config, environment)
  const woken = new Set<() => void>()

  function part(primary?: Primary) {
    const lines: Line[] = []
    const write = (line: string) => {
      lines.push(JSON.parse(line) as Line)
      for (const wake of woken) wake()
    }
    const registry = createRegistry()
    const options = {
      config,
      settings: resolved,
      environment,
      version: '0.0.0-test',
      readText: (path: string) => readFileSync(path, 'utf8'),
      logger: createLogger({ levels: parseLevels(resolved.logLevel), format: 'json', write }),
      registry,
    }
    const plane = createDataPlane({
      ...options,
      primary,
      metrics: metricsOf(config, options),
      accessLog: { write },
      keep: undefined,
    })
    return {
      plane,
      metrics: () => [...renderMetrics(registry, 'text')].join(''),
      records: () => lines.filter(({ scope }) => scope === 'request'),
      complaints: () => lines.filter(({ level }) => level === 'warn' || level === 'error'),
    }
  }

  const primary = part()
  const reception = await openReception(primary.plane.receive)
  primary.plane.initial().adopt()

  async function startWorker() {
    const { one, other, close } = linkedPair<Questions, Told>()
    primary.plane.countFor(one)
    const worker = part({ link: other, reception: reception.address })
    const binds = createBinds({
      settings: resolved,
      onRequest: worker.plane.begin,
      onBadRequest: worker.plane.refused,
      onConnection: worker.plane.connected,
    })
    worker.plane.onFinished(binds.closeIdle)
    const initial = worker.plane.initial()
    const opened = await binds.prepare(initial.binds)
    opened.adopt()
    initial.adopt()
    const ports = keysOf(initial.binds).map((key) => binds.ports()[key] ?? 0)
    return { ...worker, binds, url: `http://127.0.0.1:${ports[0]}`, ports, die: close }
  }
  const workers = await Promise.all(Array.from({ length: count }, startWorker))

  return {
    primary,
    reception,
    workers,
    /** The primary's access lines, once there are so many. */
    async recorded(wanted: number): Promise<readonly Line[]> {
      for (;;) {
        const found = primary.records()
        if (found.length >= wanted) return found
        const more = Promise.withResolvers<void>()
        woken.add(more.resolve)
        await more.promise
        woken.delete(more.resolve)
      }
    },
    reload(next: string) {
      const nextConfig = read(next, environment)
      const planes = [primary, ...workers].map(({ plane }) => plane)
      for (const prepared of planes.map((plane) => plane.prepare(nextConfig))) prepared.adopt()
    },
    async drain() {
      await Promise.all([
        primary.plane.drain({ stop() {}, destroy: reception.close }),
        ...workers.map(({ plane, binds }) => plane.drain(binds)),
      ])
    },
    async close() {
      for (const { binds, plane } of workers) {
        binds.stop()
        await binds.destroy()
        await plane.close()
      }
      await reception.close()
      await primary.plane.close()
    },
  }
}

export type WorkersLab = Awaited<ReturnType<typeof startWorkersLab>>
