/** Several processes under load, and what can happen to them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../../src/demo/provider.ts'
import { endCommands, says, startCommand } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { send } from '../support/wire.ts'
import { type Crew, client, isGone, replaced, startCrew } from '../support/workers.ts'

const CLIENTS = 16

let folder: string
let provider: SimulatedProvider

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'workers-'))
  provider = await startSimulatedOpenAI()
})

afterAll(async () => {
  endCommands()
  await provider.close()
  rmSync(folder, { recursive: true })
})

const saying = (body: string, ports: readonly number[] = [0]) =>
  JSON.stringify({
    binds: ports.map((port) => ({
      port,
      listeners: [{ routes: [{ policies: { directResponse: { status: 200, body } } }] }],
    })),
  })

interface Load {
  /** Paths that were answered, by client. */
  readonly answered: readonly Set<string>[]
  /** Requests whose connection broke, by client. */
  readonly broken: readonly string[][]
  readonly stop: () => Promise<void>
}

/** Each client asks for one path after the other, on a connection of its own while it lasts. */
function load(url: string, round = 0): Load {
  const answered = Array.from({ length: CLIENTS }, () => new Set<string>())
  const broken: string[][] = answered.map(() => [])
  let isOver = false
  const running = answered.map(async (paths, index) => {
    const { get, close } = client(url)
    for (let count = 0; !isOver; count++) {
      const path = `/${round}/${index}/${count}`
      try {
        await get(path)
        paths.add(path)
      } catch {
        broken[index]?.push(path)
      }
    }
    close()
  })
  return {
    answered,
    broken,
    async stop() {
      isOver = true
      await Promise.all(running)
    },
  }
}

const total = (sets: readonly ReadonlySet<string>[]) => sets.reduce((sum, { size }) => sum + size, 0)

/** All clients have had so many answers more. */
const moved = async ({ answered }: Load, by: number): Promise<void> => {
  const from = answered.map(({ size }) => size)
  await expect
    .poll(() => answered.every(({ size }, index) => size >= (from[index] ?? 0) + by), { timeout: 30_000 })
    .toBe(true)
}

/** Log, metrics and store tell of the same requests, each once. */
async function expectAgreement(crew: Crew): Promise<ReadonlySet<string>> {
  const counted = await crew.sum('agentgateway_requests_total')
  // A line waits a little for others before it is written.
  await expect.poll(() => crew.records().length, { timeout: 10_000 }).toBe(counted)
  const paths = crew.records().map((line) => String(line['http.path']))
  expect(await crew.sum('agentgateway_request_duration_seconds_count')).toBe(paths.length)
  await expect.poll(crew.kept, { timeout: 10_000 }).toBe(paths.length)
  const once = new Set(paths)
  expect(once.size).toBe(paths.length)
  expect(await crew.sum('agentgateway_requests_in_flight')).toBe(0)
  expect(await crew.sum('agentgateway_telemetry_dropped_total')).toBe(0)
  return once
}

/** Without reading the log, which takes its time when it is long. */
const restarted = (crew: Crew, count: number): Promise<void> =>
  expect
    .poll(
      async () => [
        await crew.sum('agentgateway_worker_restarts_total'),
        await crew.sum('agentgateway_workers'),
      ],
      { timeout: 20_000 },
    )
    .toEqual([count, 2])

/** A reload under way: workers that answer have taken it in, and others keep it from being in force. */
async function preparedOn(crew: Crew, file: string): Promise<void> {
  const port = await freePort()
  writeFileSync(file, saying('two', [0, port]))
  const answered = () => send(`http://127.0.0.1:${port}/`).then(({ status }) => [status], String)
  const told = () => crew.command.lines().filter(says('configuration'))
  await expect.poll(async () => [await answered(), told()], { timeout: 10_000 }).toEqual([[200], []])
}

test('of a worker that is killed under load others notice nothing, and what is told agrees', async () => {
  const crew = await startCrew(['-c', saying('hello'), '--workers', '2'])
  const loads: Load[] = []
  for (const round of [1, 2]) {
    const running = load(crew.url, round)
    loads.push(running)
    await moved(running, 100)
    const before = await crew.samples()
    process.kill(crew.pids()[0] ?? 0, 'SIGKILL')
    await expect.poll(() => crew.sum('agentgateway_worker_restarts_total')).toBe(round)
    const after = await crew.samples()
    for (const [name, value] of before)
      if (/(_total|_bucket|_count)(\{|$)/.test(name))
        expect(after.get(name), name).toBeGreaterThanOrEqual(value)
    await moved(running, 100)
    await restarted(crew, round)
    await running.stop()
  }

  const told = await expectAgreement(crew)
  for (const { answered, broken } of loads) {
    const unharmed = broken.filter(({ length }) => length === 0).length
    expect(unharmed).toBeGreaterThan(0)
    expect(unharmed).toBeLessThan(CLIENTS)
    // What was under way on a connection of the victim: one request, or two when it was in the kernel's hands.
    for (const paths of broken) expect(paths.length).toBeLessThanOrEqual(2)
    // All that the other worker has answered is told.
    for (const [index, paths] of answered.entries())
      if (broken[index]?.length === 0) for (const path of paths) expect(told.has(path), path).toBe(true)
    const lost = answered.flatMap((paths) => [...paths]).filter((path) => !told.has(path))
    process.stdout.write(
      `${total(answered)} answered, ${broken.flat().length} broken, ${lost.length} answered and not told, ` +
        `${unharmed} of ${CLIENTS} clients unharmed\n`,
    )
  }
  crew.command.kill('SIGTERM')
  expect(await crew.command.exited).toMatchObject({ code: 0, stderr: '' })
})

test('a worker that ends by itself has told all that it answered', async () => {
  const onSignal = join(folder, 'on-signal.mjs')
  writeFileSync(onSignal, 'process.on("SIGUSR2", () => process.exit(3))')
  const crew = await startCrew(['-c', saying('hello'), '--workers', '2'], {
    environment: { NODE_OPTIONS: `--import=${onSignal}` },
  })
  for (let round = 1; round <= 5; round++) {
    const clients = Array.from({ length: 8 }, () => client(crew.url))
    await Promise.all(clients.map(({ get }, index) => get(`/${round}/${index}`)))
    process.kill(crew.pids()[0] ?? 0, 'SIGUSR2')
    await replaced(crew, round)
    for (const { close } of clients) close()
  }
  expect((await expectAgreement(crew)).size).toBe(40)
  const samples = await crew.samples()
  expect(samples.get('agentgateway_worker_restarts_total{reason="exit"}')).toBe(5)
  expect(crew.command.lines().filter(says('a worker process ended'))).toMatchObject(
    Array(5).fill({ reason: 'exit', code: 3 }),
  )
})

test('a worker that cannot start is the end of the start; later it is tried again', async () => {
  const inWorkers = join(folder, 'in-workers.mjs')
  const marker = join(folder, 'broken')
  writeFileSync(
    inWorkers,
    `import { existsSync } from 'node:fs'; if (process.send && existsSync(${JSON.stringify(marker)})) process.exit(7)`,
  )
  const options = { environment: { NODE_OPTIONS: `--import=${inWorkers}` } }
  writeFileSync(marker, '')
  expect(await startCommand(['-c', saying('hello'), '--workers', '2'], options).exited).toMatchObject({
    code: 1,
    stderr: 'agentgateway: cannot start: a worker process ended before it could serve: exit code 7\n',
  })
  rmSync(marker)
  const crew = await startCrew(['-c', saying('hello'), '--workers', '2'], options)
  writeFileSync(marker, '')
  for (const pid of crew.pids()) process.kill(pid, 'SIGKILL')
  await crew.command.line(says('a worker process could not start'))
  expect(await send(`${crew.readinessUrl}/healthz/ready`)).toMatchObject({
    status: 503,
    body: 'not ready: no worker process\n',
  })
  rmSync(marker)
  await replaced(crew, 2)
  expect(await send(`${crew.readinessUrl}/healthz/ready`)).toMatchObject({ status: 200 })
  expect(await send(`${crew.url}/`)).toMatchObject({ status: 200 })
  expect(await crew.sum('agentgateway_worker_restarts_total')).toBeGreaterThan(2)
})

test('a worker that hangs is found out and replaced, and a reload meanwhile reaches the others', async () => {
  const file = join(folder, 'hangs.yaml')
  writeFileSync(file, saying('one'))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  const [stuck = 0, healthy = 0] = crew.pids()
  process.kill(stuck, 'SIGSTOP')
  // Of so many connections the system gives it some.
  const asked = Array.from({ length: 16 }, () => send(`${crew.url}/`).catch(() => undefined))
  // A scrape does not wait for it for ever, and tells what is known.
  expect(await crew.sum('agentgateway_workers')).toBe(2)
  writeFileSync(file, saying('two'))
  await crew.command.line(says('configuration reloaded'))
  await replaced(crew, 1)
  await isGone(stuck)
  const answers = await Promise.all(asked)
  expect(answers).toContain(undefined)
  expect(answers.some((answer) => answer?.status === 200)).toBe(true)
  expect(crew.command.lines().filter(says('a worker process ended'))).toMatchObject([
    { reason: 'unresponsive', signal: 'SIGKILL', pid: stuck },
  ])
  expect((await crew.samples()).get('agentgateway_worker_restarts_total{reason="unresponsive"}')).toBe(1)
  expect(crew.pids()).toContain(healthy)
  const later = await Promise.all(Array.from({ length: 16 }, () => send(`${crew.url}/`)))
  expect(new Set(later.map(({ body }) => body))).toEqual(new Set(['two']))
})

test('a worker that was away for a moment is not replaced, and has the new configuration', async () => {
  const file = join(folder, 'away.yaml')
  writeFileSync(file, saying('one'))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  const workers = crew.pids()
  const [away = 0] = workers
  process.kill(away, 'SIGSTOP')
  await preparedOn(crew, file)
  process.kill(away, 'SIGCONT')
  await crew.command.line(says('configuration reloaded'))
  const bodies = await Promise.all(Array.from({ length: 16 }, () => send(`${crew.url}/`)))
  expect(new Set(bodies.map(({ body }) => body))).toEqual(new Set(['two']))
  expect(crew.pids()).toEqual(workers)
})

test('a worker that is killed in the middle of a reload keeps nobody from it', async () => {
  const file = join(folder, 'killed.yaml')
  writeFileSync(file, saying('one'))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  const [victim = 0] = crew.pids()
  process.kill(victim, 'SIGSTOP')
  await preparedOn(crew, file)
  process.kill(victim, 'SIGKILL')
  await crew.command.line(says('configuration reloaded'))
  await replaced(crew, 1)
  const bodies = await Promise.all(Array.from({ length: 16 }, () => send(`${crew.url}/`)))
  expect(new Set(bodies.map(({ body }) => body))).toEqual(new Set(['two']))
  const samples = await crew.samples()
  expect(samples.get('agentgateway_config_reloads_total{result="failure"}') ?? 0).toBe(0)
  expect(samples.get('agentgateway_worker_restarts_total{reason="signal"}')).toBe(1)
})

test('a gateway that is to end in the middle of a reload ends, whoever does not answer', async () => {
  const file = join(folder, 'ends.yaml')
  writeFileSync(file, saying('one'))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  const workers = crew.pids()
  process.kill(workers[0] ?? 0, 'SIGSTOP')
  await preparedOn(crew, file)
  crew.command.kill('SIGTERM')
  expect(await crew.command.exited).toMatchObject({ code: 0 })
  for (const pid of workers) await isGone(pid)
})

test('while the primary stands still workers serve, and what does not wait for it is counted', async () => {
  const crew = await startCrew(['-c', saying('hello'), '--workers', '2'])
  const running = load(crew.url)
  await moved(running, 50)
  crew.command.kill('SIGSTOP')
  // More than the log of a worker that waits.
  await moved(running, 2500)
  crew.command.kill('SIGCONT')
  await moved(running, 50)
  await running.stop()
  const answered = total(running.answered)
  expect(running.broken.flat()).toEqual([])
  expect(await crew.sum('agentgateway_requests_total')).toBe(answered)
  const samples = await crew.samples()
  const dropped = (signal: string) =>
    samples.get(`agentgateway_telemetry_dropped_total{signal="${signal}"}`) ?? 0
  expect(dropped('logs')).toBeGreaterThan(0)
  await expect
    .poll(() => crew.records().length, { timeout: 10_000, interval: 500 })
    .toBe(answered - dropped('logs'))
  await expect.poll(crew.kept, { timeout: 10_000 }).toBe(answered - dropped('requests'))
  expect(samples.get('agentgateway_worker_restarts_total{reason="unresponsive"}')).toBe(0)
})

test('a reload opens and closes ports on all workers; one that cannot be had changes nothing', async () => {
  const [kept, other] = [await freePort(), await freePort()]
  const file = join(folder, 'ports.yaml')
  writeFileSync(file, saying('one', [kept]))
  const crew = await startCrew(['-f', file, '--workers', '2'])
  writeFileSync(file, saying('two', [kept, provider.port]))
  await crew.command.line(says('the new configuration cannot be applied'))
  expect(await send(`http://127.0.0.1:${kept}/`)).toMatchObject({ body: 'one' })

  writeFileSync(file, saying('three', [kept, other]))
  await crew.command.line(says('configuration reloaded'))
  const bodies = await Promise.all(
    Array.from({ length: 16 }, (_, index) => send(`http://127.0.0.1:${index % 2 === 0 ? kept : other}/`)),
  )
  expect(new Set(bodies.map(({ body }) => body))).toEqual(new Set(['three']))

  writeFileSync(file, saying('four', [other]))
  await crew.command.line(() => crew.command.lines().filter(says('configuration reloaded')).length === 2)
  await expect(send(`http://127.0.0.1:${kept}/`)).rejects.toThrow('ECONNREFUSED')
  expect(await send(`http://127.0.0.1:${other}/`)).toMatchObject({ body: 'four' })

  // Two gateways do not share a port.
  const second = startCommand(['-c', saying('me too', [other]), '--workers', '2'])
  expect(await second.exited).toMatchObject({ code: 1, stderr: expect.stringContaining('EADDRINUSE') })
})

test('where the system does not spread connections, the primary does', async () => {
  const main = fileURLToPath(new URL('../fixtures/run-on-another-system.ts', import.meta.url))
  const crew = await startCrew([saying('hello'), '2'], { main })
  expect(crew.pids()).toHaveLength(2)
  const running = load(crew.url)
  await moved(running, 50)
  await running.stop()
  await expectAgreement(crew)
  process.kill(crew.pids()[0] ?? 0, 'SIGKILL')
  // Not before: Node would hand connections to the dead.
  await restarted(crew, 1)
  const later = load(crew.url, 1)
  await moved(later, 50)
  await later.stop()
  expect([...running.broken, ...later.broken].flat()).toEqual([])
  expect((await expectAgreement(crew)).size).toBe(total([...running.answered, ...later.answered]))
  const workers = crew.pids()
  crew.command.kill('SIGTERM')
  expect(await crew.command.exited).toMatchObject({ code: 0, stderr: '' })
  for (const pid of workers) await isGone(pid)
})
