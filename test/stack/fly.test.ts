/**
 * What runs on the Fly machine, as native processes under the real supervisor: observability/fly as its Dockerfile lays
 * it out, with the gateway, Prometheus and Jaeger. Grafana is not here; its place is left out.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { componentPath } from './components.ts'
import { OBSERVABILITY } from './compose.ts'
import { GATEWAY } from './stack.ts'

const SERVICES = ['jaeger', 'prometheus', 'agentgateway'] as const
type Service = (typeof SERVICES)[number]
const PORTS = [3000, 4317, 8888, 9090, 13133, 15000, 15020, 15021, 16685, 16686]
const SECRETS = {
  OPENAI_API_KEY: 'canary-openai-key',
  GATEWAY_API_KEY: 'canary-gateway-key',
  PROMETHEUS_PASSWORD: 'canary-prometheus-password',
  GF_SECURITY_ADMIN_PASSWORD: 'canary-grafana-password',
  ADMIN_TOKEN: 'canary-admin-token',
}

const programs = { jaeger: componentPath('jaeger'), prometheus: componentPath('prometheus') }
const missing = [
  ...Object.entries(programs).flatMap(([name, path]) => (path === undefined ? [name] : [])),
  ...['s6-svscan', 'htpasswd', 'curl'].filter((name) => spawnSync('which', [name]).status !== 0),
]
if (missing.length > 0) console.log(`the tree on Fly is not tested: ${missing.join(', ')} cannot be had here`)

const folder = mkdtempSync(join(tmpdir(), 'fly-stack-'))
const place = (...path: string[]) => join(folder, ...path)

/** As the Dockerfile does it. */
function layOut(): void {
  cpSync(join(OBSERVABILITY, 'fly'), place('stack'), { recursive: true })
  for (const name of ['prometheus', 'bin', 'data'])
    mkdirSync(place(name === 'prometheus' ? 'stack/prometheus' : name))
  cpSync(join(OBSERVABILITY, 'prometheus/rules'), place('stack/prometheus/rules'), { recursive: true })
  renameSync(place('stack/prometheus.yml'), place('stack/prometheus/prometheus.yml'))
  for (const [name, path] of Object.entries(programs)) copyFileSync(path ?? '', place('bin', name))
  writeFileSync(
    place('bin/agentgateway'),
    `#!/bin/sh\nexec ${GATEWAY.map((word) => `'${word}'`).join(' ')} "$@"\n`,
    { mode: 0o755 },
  )
  // A machine may have users of these names already: they have to reach it.
  chmodSync(folder, 0o755)
}

const environment = {
  PATH: [place('bin'), process.env.PATH].join(delimiter),
  STACK: place('stack'),
  DATA: place('data'),
  RUN: place('run'),
  SERVICES: SERVICES.join(' '),
  FLY_APP_NAME: 'my-gateway',
  WATCHDOG_SECONDS: '1',
  ...SECRETS,
}

let supervisor: ChildProcess | undefined
let log = ''
let ended: Promise<number | null> = Promise.resolve(null)

/** `check` looks at other processes: it is asked again until it has something. */
const until = <T>(what: string, check: () => T | undefined | Promise<T | undefined>): Promise<T> =>
  vi.waitFor(
    async () => {
      const found = await check()
      if (found === undefined) throw new Error(`${what}: not yet\n${log.slice(-3000)}`)
      return found
    },
    { timeout: 60_000, interval: 100 },
  )

const isTaken = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

const status = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(url, { headers, signal: AbortSignal.timeout(3000) }).then(
    (response) => response.status,
    () => undefined,
  )

const isReady = (service: Service) =>
  spawnSync('s6-svstat', ['-o', 'ready', place('run/services', service)])
    .stdout?.toString()
    .trim() === 'true'
const pidOf = (service: Service) =>
  Number(
    spawnSync('s6-svstat', ['-p', place('run/services', service)])
      .stdout?.toString()
      .trim(),
  )

function secretsIn(pid: number): readonly string[] {
  const environ = readFileSync(`/proc/${pid}/environ`, 'utf8')
  return [...environ.matchAll(/canary-[a-z-]+/g)].map(([canary]) => canary).toSorted()
}

/** Of every process of this machine: everybody can read them. */
function argumentsWithSecrets(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        // It has ended.
        return ''
      }
    })
    .filter((line) => line.includes('canary-'))
}

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

describe.skipIf(missing.length > 0)('the machine', () => {
  beforeAll(async () => {
    for (const port of PORTS)
      if (await isTaken(port)) throw new Error(`port ${port} is taken: the parts on Fly have fixed ones`)
    layOut()
    const child = spawn('sh', [place('stack/start')], { env: environment, cwd: '/', stdio: 'pipe' })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
    ended = new Promise((resolve) => child.once('close', resolve))
    supervisor = child
    for (const service of SERVICES) await until(`${service} is ready`, () => isReady(service) || undefined)
  })

  afterAll(async () => {
    if (supervisor?.exitCode === null) {
      supervisor.kill('SIGTERM')
      await ended
    }
    rmSync(folder, { recursive: true, force: true })
  })

  test('doctor follows a request through it', () => {
    const { stdout, status: code } = spawnSync('sh', [place('stack/doctor'), '--skip=provider,grafana'], {
      env: { ...environment, NO_COLOR: '1' },
      encoding: 'utf8',
    })
    expect(stdout).toMatch(/✓ gateway[\s\S]*✓ metrics[\s\S]*✓ console[\s\S]*✓ prometheus[\s\S]*✓ jaeger/)
    expect({ code, stdout: /everything works/.exec(stdout)?.[0] }).toEqual({
      code: 0,
      stdout: 'everything works',
    })
  })

  test('strangers get nothing', async () => {
    expect(await status('http://127.0.0.1:3000/v1/models')).toBe(401)
    expect(await status('http://127.0.0.1:9090/metrics')).toBe(401)
    expect(await status('http://127.0.0.1:9090/metrics', basic('admin', 'admin'))).toBe(401)
    expect(await status('http://127.0.0.1:9090/metrics', basic('admin', SECRETS.PROMETHEUS_PASSWORD))).toBe(
      200,
    )
    expect(await status('http://127.0.0.1:15000/api/runtime')).toBe(401)
  })

  test('each line of the log says whose it is, and none has a secret', () => {
    const lines = log.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(10)
    expect(
      lines.filter((line) => !/^(?:start|stop|jaeger|prometheus|agentgateway|watchdog): /.test(line)),
    ).toEqual([])
    expect(log).not.toContain('canary-')
  })

  test('no program has more secrets than it needs', () => {
    expect(secretsIn(pidOf('agentgateway'))).toEqual([
      SECRETS.ADMIN_TOKEN,
      SECRETS.GATEWAY_API_KEY,
      SECRETS.OPENAI_API_KEY,
    ])
    for (const service of ['jaeger', 'prometheus'] as const) expect(secretsIn(pidOf(service))).toEqual([])
  })

  test('no secret is an argument of any program', () => {
    expect(argumentsWithSecrets()).toEqual([])
  })

  test.each(SERVICES)('%s is started again when it is killed, and the others go on', async (service) => {
    const before = pidOf(service)
    const others = SERVICES.filter((one) => one !== service).map(pidOf)
    process.kill(before, 'SIGKILL')
    await until(`${service} is back`, () => (pidOf(service) !== before && isReady(service)) || undefined)
    expect(SERVICES.filter((one) => one !== service).map(pidOf)).toEqual(others)
  })

  test('a part that hangs is ended and started again', async () => {
    const before = pidOf('jaeger')
    process.kill(before, 'SIGSTOP')
    await until('jaeger is back', () => (pidOf('jaeger') !== before && isReady('jaeger')) || undefined)
    expect(log).toContain('watchdog: jaeger does not answer: it is ended and started again\n')
  })

  test('the machine is whole again', async () => {
    await until('a scrape', async () => {
      const url = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent('min(up)')}`
      const answer = await fetch(url, { headers: basic('admin', SECRETS.PROMETHEUS_PASSWORD) })
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
      return data.result[0]?.value[1] === '1' || undefined
    })
  })

  test('what keeps ending is started less and less often', async () => {
    const config = place('stack/agentgateway-config.yaml')
    const good = readFileSync(config, 'utf8')
    const seen = log.length
    writeFileSync(config, 'binds: 5\n')
    process.kill(pidOf('agentgateway'), 'SIGKILL')
    await until('a longer wait', () => /the next start is in 8 s/.test(log.slice(seen)) || undefined)
    // While it cannot start, too.
    expect(argumentsWithSecrets()).toEqual([])
    expect(log.slice(seen)).toMatch(/agentgateway: .*agentgateway-config\.yaml:1:\d+: binds/)
    const waits = [
      ...log.slice(seen).matchAll(/agentgateway: it ended .* in a row: the next start is in (\d+) s/g),
    ].map(([, s]) => Number(s))
    expect(waits.slice(-2)).toEqual([4, 8])
    writeFileSync(config, good)
    await until('the gateway is back', () => isReady('agentgateway') || undefined)
  })

  test('told to end, the gateway ends first, and all of it in time', async () => {
    const pids = SERVICES.map(pidOf)
    const seen = log.length
    const began = Date.now()
    supervisor?.kill('SIGTERM')
    await ended
    expect(Date.now() - began).toBeLessThan(40_000)
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow()
    const told = log.slice(seen)
    expect(told.indexOf('stop: the gateway ends what is under way')).toBeGreaterThanOrEqual(0)
    expect(told.indexOf('stop: done')).toBeGreaterThan(0)
    // Jaeger's last words come after the gateway's.
    expect(told.lastIndexOf('jaeger: ')).toBeGreaterThan(told.lastIndexOf('agentgateway: '))
  })
})

describe.skipIf(missing.length > 0)('a start that cannot work', () => {
  test.each([
    {
      name: 'no key for clients',
      change: { GATEWAY_API_KEY: '' },
      says: 'the secret GATEWAY_API_KEY is missing',
    },
    {
      name: 'no key for OpenAI',
      change: { OPENAI_API_KEY: '' },
      says: 'the secret OPENAI_API_KEY is missing',
    },
    {
      name: 'no password for Grafana',
      change: { GF_SECURITY_ADMIN_PASSWORD: '' },
      says: 'GF_SECURITY_ADMIN_PASSWORD is missing',
    },
    {
      name: 'no token for the console',
      change: { ADMIN_TOKEN: '' },
      says: 'the secret ADMIN_TOKEN is missing',
    },
    { name: 'an unknown mode', change: { CLIENT_KEY_MODE: 'off' }, says: 'strict or permissive, not off' },
  ])('$name: it says so and ends', ({ change, says }) => {
    const { status: code, stderr } = spawnSync('sh', [join(OBSERVABILITY, 'fly/start')], {
      env: { ...environment, STACK: join(OBSERVABILITY, 'fly'), ...change },
      encoding: 'utf8',
    })
    expect(code).toBe(1)
    expect(stderr).toContain(says)
  })
})
