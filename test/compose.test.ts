/**
 * The files that need Docker, as far as they can be checked without: docker-compose.yml against the compose
 * specification and against everything that it names, the Dockerfile against its own rules and the repository.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { parseCommand } from '../src/cli/arguments.ts'
import { loadConfig } from '../src/config/load.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'observability')
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

interface Service {
  readonly image: string
  readonly build?: { readonly context: string }
  readonly command?: readonly string[]
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

  test('names files in commands that a mount brings', () => {
    for (const [name, definition] of services) {
      for (const argument of definition.command ?? []) {
        const path = /(?:^|=)(\/etc\/\S+)$/.exec(argument)?.[1]
        if (path === undefined) continue
        const mount = mountsOf(definition).find(
          ({ target }) => path === target || path.startsWith(`${target}/`),
        )
        expect(mount, `${name}: ${path}`).toBeDefined()
        const source = join(FOLDER, mount?.source ?? '', path.slice(mount?.target.length))
        expect(statSync(source).isFile(), `${name}: ${source}`).toBe(true)
      }
    }
  })

  test('pins every image that it does not build', () => {
    for (const [name, { image, build }] of services) {
      if (build === undefined) expect(image, name).toMatch(/:v?\d+\.\d+\.\d+$/)
      else expect(existsSync(join(FOLDER, build.context, 'Dockerfile')), name).toBe(true)
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
      .filter(([, { build }]) => build !== undefined)
      .map(([name, { command = [] }]) => ({ name, command })),
  )('gives the gateway a command line that it understands: $name', ({ command }) => {
    expect(parseCommand(command).name).not.toBe('usage')
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
