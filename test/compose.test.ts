/**
 * The files that need Docker, as far as they can be checked without: docker-compose.yml against the compose
 * specification and against everything that it names, the Dockerfile against its own rules and the repository.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { parseCommand } from '../src/cli/arguments.ts'
import { loadConfig } from '../src/config/load.ts'
import { settings } from '../src/config/settings.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'observability')
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

interface Service {
  readonly image: string
  readonly build?: { readonly context: string }
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: readonly string[] | Readonly<Record<string, { condition: string }>>
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
  readonly profiles?: readonly string[]
  readonly restart?: string
  readonly cap_drop?: readonly string[]
  readonly read_only?: boolean
  readonly security_opt?: readonly string[]
  readonly user?: string
  readonly tmpfs?: readonly string[]
}

const text = read('observability', 'docker-compose.yml')
const compose = parse(text, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const services = Object.entries(compose.services)
const service = (name: string) => compose.services[name] ?? expect.fail(`no service ${name}`)
const mountsOf = ({ volumes = [] }: Service) =>
  volumes.map((volume) => {
    const [source = '', target = '', mode] = volume.split(':')
    return { source, target, mode }
  })

describe('docker-compose.yml', () => {
  test('is what the compose specification allows', () => {
    const { stdout, status } = dclint(join(FOLDER, 'docker-compose.yml'))
    expect(stdout).not.toMatch(/\berror\b(?!s)/)
    expect(status).toBe(0)
  })

  test('would be refused with a mistake in it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'agentgateway-compose-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'docker-compose.yml')
    writeFileSync(file, text.replace('condition: service_healthy', 'condition: service_heathy'))
    expect(dclint(file).status).not.toBe(0)
  })

  const v1 = spawnSync('docker-compose', ['version', '--short'], { encoding: 'utf8' })
  test.runIf(v1.status === 0)(`is understood by docker-compose ${v1.stdout?.trim()}`, () => {
    const { status, stderr } = spawnSync('docker-compose', ['--profile', 'demo', 'config', '-q'], {
      cwd: FOLDER,
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  test("has the tutorial's services and ports, on loopback only", () => {
    const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]))
    expect(published).toEqual([
      ['agentgateway', '127.0.0.1:3000:3000'],
      ['agentgateway', '127.0.0.1:15020:15020'],
      ['otel-collector', '127.0.0.1:4317:4317'],
      ['jaeger', '127.0.0.1:16686:16686'],
      ['prometheus', '127.0.0.1:9090:9090'],
      ['grafana', '127.0.0.1:3001:3000'],
    ])
    const plain = services.filter(([, { profiles }]) => profiles === undefined).map(([name]) => name)
    expect(plain.toSorted()).toEqual(
      ['agentgateway', 'grafana', 'jaeger', 'jaeger-volume', 'otel-collector', 'prometheus'].toSorted(),
    )
  })

  test('mounts only what is there, and the configuration read-only', () => {
    const named = new Set<string>()
    for (const [name, definition] of services) {
      for (const { source, mode } of mountsOf(definition)) {
        if (source.startsWith('.')) {
          expect(existsSync(join(FOLDER, source)), `${name}: ${source}`).toBe(true)
          expect(mode, `${name}: ${source}`).toBe('ro')
        } else named.add(source)
      }
    }
    expect([...named].toSorted()).toEqual(Object.keys(compose.volumes).toSorted())
  })

  test('uses only paths that a mount brings, or that can be written to', () => {
    let files = 0
    for (const [name, definition] of services) {
      const mounts = mountsOf(definition)
      const isUnder = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`)
      const configurations = mounts
        .filter(({ source }) => /\.ya?ml$/.test(source) || source.endsWith('/provisioning'))
        .map(({ source }) =>
          source.endsWith('/provisioning') ? `${source}/dashboards/dashboards.yml` : source,
        )
      const spoken = [
        ...(definition.command ?? []),
        ...Object.values(definition.environment ?? {}),
        ...configurations.flatMap((file) => readFileSync(join(FOLDER, file), 'utf8').split('\n')),
      ]
      for (const text of spoken) {
        // In YAML, whatever is a value; not what is a path of URLs, nor prose.
        const path = /^(?:--[\w.-]+=|\s*(?:path|keys|values): )?(\/(?:etc|badger|prometheus|var)\S*)$/.exec(
          text,
        )?.[1]
        if (path === undefined) continue
        files++
        const mount = mounts.find(({ target }) => isUnder(path, target))
        expect(mount, `${name}: ${path} is on no mount`).toBeDefined()
        if (mount?.source.startsWith('.'))
          expect(existsSync(join(FOLDER, mount.source, path.slice(mount.target.length))), path).toBe(true)
      }
    }
    expect(files).toBeGreaterThanOrEqual(9)
  })

  test('gives /tmp to what writes there, since the rest is read-only', () => {
    for (const name of ['agentgateway', 'jaeger', 'grafana'])
      expect(service(name).tmpfs, name).toEqual(['/tmp'])
    expect(mountsOf(service('grafana'))).toContainEqual({
      source: 'grafana-data',
      target: '/var/lib/grafana',
    })
    expect(service('grafana').environment).toMatchObject({
      GF_PLUGINS_PREINSTALL_DISABLED: 'true',
      GF_PLUGINS_PREINSTALL_AUTO_UPDATE: 'false',
    })
  })

  test('asks for health at ports that are there', () => {
    const asked = services.flatMap(([name, { healthcheck }]) =>
      (healthcheck?.test ?? []).flatMap((word) => {
        const port = /^http:\/\/127\.0\.0\.1:(\d+)\//.exec(word)?.[1]
        return port === undefined ? [] : [[name, Number(port)] as const]
      }),
    )
    expect(Object.fromEntries(asked)).toEqual({ jaeger: 13133, prometheus: 9090, grafana: 3000 })
    expect(portsIn(read('observability', 'jaeger/config.yaml'))).toContain(13133)
    expect(read('Dockerfile')).toContain("'http://127.0.0.1:15021/healthz/ready'")
    expect(settings({}, {}).readinessAddr).toEqual({ host: undefined, port: 15021 })
  })

  test('keeps exemplars, which Prometheus does only when told to', () => {
    expect(service('prometheus').command).toContain('--enable-feature=exemplar-storage')
  })

  test("knows Grafana's login where it is needed", () => {
    for (const name of ['GF_SECURITY_ADMIN_USER', 'GF_SECURITY_ADMIN_PASSWORD'])
      expect(service('doctor').environment?.[name]).toBe(service('grafana').environment?.[name])
  })

  test('builds its image once', () => {
    const built = services.filter(([, { build }]) => build !== undefined)
    expect(built.map(([name]) => name)).toEqual(['agentgateway'])
    // The others find it there.
    for (const [name, { image, depends_on = [] }] of services) {
      if (name === 'agentgateway' || image !== built[0]?.[1].image) continue
      expect(Array.isArray(depends_on) ? depends_on : Object.keys(depends_on), name).toContain('agentgateway')
    }
  })

  test('pins every image that it does not build', () => {
    for (const [name, { image, build }] of services) {
      if (image !== 'agentgateway:local') expect(image, name).toMatch(/:v?\d+\.\d+\.\d+$/)
      else if (build !== undefined)
        expect(existsSync(join(FOLDER, build.context, 'Dockerfile')), name).toBe(true)
    }
  })

  test('hardens every container', () => {
    for (const [name, one] of services) {
      expect(one, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        logging: { driver: 'json-file', options: { 'max-size': '10m' } },
      })
      expect(one.restart, name).toBe(/doctor|jaeger-volume/.test(name) ? 'no' : 'unless-stopped')
      if (name !== 'jaeger-volume') expect(one.user, name).toBeUndefined()
    }
  })

  test('waits only for services that are there, and the gateway for none', () => {
    for (const [name, { depends_on = [] }] of services) {
      for (const other of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on)) {
        service(other)
        const condition = Array.isArray(depends_on)
          ? 'service_started'
          : (depends_on as Record<string, { condition: string }>)[other]?.condition
        // The gateway's image has its health check in itself.
        if (condition === 'service_healthy' && other !== 'agentgateway')
          expect(service(other).healthcheck?.test, `${name} waits for ${other}`).toBeDefined()
      }
    }
    expect(service('agentgateway').depends_on).toBeUndefined()
  })

  test('takes from the environment only what .env.example explains, with defaults', () => {
    const used = [...text.matchAll(/\$\{(\w+)([^}]*)\}/g)]
    expect(used.length).toBeGreaterThan(0)
    const explained = read('observability', '.env.example')
    for (const [, name = '', rest = ''] of used) {
      expect(rest, name).toMatch(/^:-/)
      expect(explained, name).toContain(`${name}=`)
    }
  })

  test.each(
    services
      .filter(([, { image }]) => image === 'agentgateway:local')
      .map(([name, { entrypoint = ['agentgateway'], command = [] }]) => ({
        name,
        line: [...entrypoint.slice(1), ...command],
      })),
  )('gives the gateway a command line that it understands: $name', ({ line }) => {
    expect(parseCommand(line).name).not.toBe('usage')
  })

  test('every address that one service has of another is a port on which that one listens', () => {
    const listening: Readonly<Record<string, readonly number[]>> = {
      agentgateway: [3000, 3100, 15020],
      'otel-collector': portsIn(read('observability', 'otel-collector-config.yaml')),
      jaeger: portsIn(read('observability', 'jaeger/config.yaml')),
      prometheus: [9090],
      grafana: [3000],
      'demo-providers': [9101, 9102],
    }
    const files = [
      'docker-compose.yml',
      'agentgateway-config.yaml',
      'otel-collector-config.yaml',
      'prometheus/prometheus.yml',
      'grafana/provisioning/datasources/datasources.yml',
    ]
    let checked = 0
    for (const file of files) {
      const pattern = new RegExp(`(?<![\\w.-])(${Object.keys(listening).join('|')}):(\\d+)(?![\\w.])`, 'g')
      for (const [whole, host = '', port] of read('observability', file).matchAll(pattern)) {
        checked++
        expect(listening[host], `${file}: ${whole}`).toContain(Number(port))
      }
    }
    expect(checked).toBeGreaterThan(12)
    const config = loadConfig({
      text: read('observability', 'agentgateway-config.yaml'),
      file: 'agentgateway-config.yaml',
      environment: {},
    })
    expect(config.ok && config.config.binds?.map(({ port }) => port)).toEqual([3000, 3100])
  })

  test('publishes ports on which the container listens', () => {
    const inside = portsIn(
      read('observability', 'otel-collector-config.yaml') + read('observability', 'jaeger/config.yaml'),
    )
    for (const port of [4317, 16686]) expect(inside).toContain(port)
  })
})

/** Where a collector or Jaeger listens on all interfaces. */
const portsIn = (config: string) =>
  [...config.matchAll(/0\.0\.0\.0(?::|\n\s+port: )(\d+)/g)].map(([, port]) => Number(port))

/** Only what the specification says; its opinions on style are not ours. */
function dclint(file: string) {
  return spawnSync(process.execPath, [join(ROOT, 'node_modules/dclint/bin/dclint.cjs'), '--quiet', file], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
}

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile')

  test('is free of mistakes', () => {
    expect(validate(dockerfile).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual(
      [],
    )
    expect(validate(`${dockerfile}\nUSERR node\n`)).toHaveLength(1)
  })

  test('is built in two stages on node:24-slim, and runs without root, with a health check', () => {
    expect(dockerfile.match(/^FROM .*$/gm)).toEqual(['FROM node:24-slim AS build', 'FROM node:24-slim'])
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM'))
    expect(last).toMatch(/^USER node$/m)
    expect(last).toMatch(/^HEALTHCHECK /m)
    expect(last.indexOf('USER node')).toBeLessThan(last.indexOf('ENTRYPOINT'))
  })

  test('copies only what is there and what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
    for (const [, from] of dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm)) {
      for (const source of (from ?? '').split(' ').slice(0, -1)) {
        expect(existsSync(join(ROOT, source)), source).toBe(true)
        expect(allowed.split('\n')).toContain(`!${source}`)
      }
    }
  })
})
