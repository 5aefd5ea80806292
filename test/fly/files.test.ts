/** What deploy-fly.sh deploys, as far as it can be checked without Fly and without Docker. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import { parse as parseToml } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import type { Address } from '../../src/core/schema.ts'
import { unknownIn } from './flags.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')
const ofFly = (...path: string[]) => read('observability/fly', ...path)

interface Service {
  readonly internal_port: number
  readonly protocol?: string
  readonly auto_stop_machines: string
  readonly ports?: readonly { readonly port: number; readonly handlers: readonly string[] }[]
  readonly http_checks?: readonly { readonly path: string }[]
  readonly http_options?: { readonly idle_timeout: number }
}

const toml = parseToml(ofFly('fly.toml')) as unknown as {
  readonly kill_signal: string
  readonly kill_timeout: number
  readonly mounts: { readonly source: string; readonly destination: string }
  readonly http_service: Service
  readonly services: readonly Service[]
  readonly checks: { readonly gateway: { readonly port: number; readonly path: string } }
  readonly metrics: { readonly port: number; readonly path: string }
  readonly vm: readonly object[]
}

const SECRETS = {
  OPENAI_API_KEY: 'sk-o',
  ANTHROPIC_API_KEY: 'sk-a',
  GATEWAY_API_KEY: 'gw-k',
  ADMIN_TOKEN: '0123456789abcdef',
}

const load = (environment: Readonly<Record<string, string>>) =>
  loadConfig({ text: ofFly('agentgateway-config.yaml'), file: 'config.yaml', environment })

function loaded(environment: Readonly<Record<string, string>> = {}) {
  const result = load({ ...SECRETS, ...environment })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

const portOf = (address: Address | undefined) => (typeof address === 'object' ? address.port : undefined)
const routesOf = (config: ReturnType<typeof loaded>) => config.binds?.[0]?.listeners[0]?.routes ?? []
const grafana = ofFly('services/grafana/run')
const prometheus = ofFly('services/prometheus/run')

describe('fly.toml', () => {
  const { binds, config } = loaded()

  test('its ports are those on which the parts listen', () => {
    expect(toml.http_service.internal_port).toBe(binds?.[0]?.port)
    expect(toml.checks.gateway.port).toBe(portOf(config?.readinessAddr))
    expect(toml.metrics).toEqual({ port: portOf(config?.statsAddr), path: '/metrics' })
    expect(grafana).toContain('GF_SERVER_HTTP_PORT=3001')
    expect(prometheus).toContain("address='[::]:9090'")
    expect(toml.services.map(({ internal_port: port }) => port)).toEqual([3001, 9090])
  })

  test('only the gateway, Grafana and Prometheus are public, and over TLS', () => {
    const ports = toml.services.flatMap(({ ports = [] }) => ports)
    expect(ports).toEqual([
      { port: 3001, handlers: ['tls', 'http'] },
      { port: 9090, handlers: ['tls', 'http'] },
    ])
    expect(toml.http_service).toMatchObject({ force_https: true })
    const inside = [toml.http_service, ...toml.services].map(({ internal_port: port }) => port)
    const hidden = [
      portOf(config?.adminAddr),
      portOf(config?.statsAddr),
      portOf(config?.readinessAddr),
      4317,
      16686,
    ]
    expect(inside.filter((port) => hidden.includes(port))).toEqual([])
  })

  test('one machine that never sleeps, with one volume where the data is', () => {
    expect(toml.mounts.destination).toBe('/data')
    expect(ofFly('start')).toMatch(/^DATA=\$\{DATA:-\/data\}$/m)
    for (const service of [toml.http_service, ...toml.services])
      expect(service.auto_stop_machines).toBe('off')
    expect(toml.vm).toHaveLength(1)
  })

  test('streams may be as quiet as the gateway allows them to be', () => {
    // The gateway's own default, ten minutes: docs/configuration.md.
    expect(toml.http_service.http_options?.idle_timeout).toBe(600)
  })

  test('what stops has the time that it needs', () => {
    expect(toml.kill_signal).toBe('SIGTERM')
    const [gatewayMs = 0, othersMs = 0] = [...ofFly('stop').matchAll(/-T (\d+)/g)].map(([, ms]) => Number(ms))
    expect(gatewayMs).toBeGreaterThan((config?.connectionTerminationDeadline ?? 0) + 5000)
    expect(toml.kill_timeout * 1000).toBeGreaterThan(gatewayMs + othersMs)
  })
})

describe('the configuration', () => {
  test('asks clients for a key, and presents the owner’s to the providers', () => {
    const routes = routesOf(loaded())
    expect(routes).toHaveLength(2)
    for (const { policies } of routes)
      expect(policies?.apiKey).toMatchObject({ mode: 'strict', keys: [{ key: 'gw-k' }] })
    const keys = routes.map(({ backends }) => backends?.[0]?.ai?.policies?.backendAuth?.key)
    expect(keys).toEqual(['sk-a', 'sk-o'])
  })

  test('opens on request', () => {
    const [route] = routesOf(loaded({ CLIENT_KEY_MODE: 'permissive' }))
    expect(route?.policies?.apiKey?.mode).toBe('permissive')
  })

  test('reaches nothing but models with the owner’s keys', () => {
    const paths = routesOf(loaded()).flatMap(({ matches = [] }) => matches.map(({ path }) => path))
    expect(paths).toEqual([
      { exact: '/v1/messages' },
      { exact: '/v1/messages/count_tokens' },
      { exact: '/v1/chat/completions' },
      { exact: '/v1/responses' },
      { exact: '/v1/embeddings' },
      { exact: '/v1/models' },
    ])
    expect(ofFly('agentgateway-config.yaml')).not.toContain('passthrough')
  })

  test('does not start without the key of clients', () => {
    const { GATEWAY_API_KEY: _, ...others } = SECRETS
    expect(load(others).ok).toBe(false)
  })

  test('each of its variables is handed on by the service', () => {
    const run = ofFly('services/agentgateway/run')
    const used = [...ofFly('agentgateway-config.yaml').matchAll(/\$\{?([A-Z_]+)/g)].map(([, name]) => name)
    expect(new Set(used).size).toBeGreaterThan(3)
    const [, kept = ''] = /^only ((?:.*\\\n)*.*)$/m.exec(run) ?? []
    for (const name of [...new Set(used), 'ADMIN_TOKEN']) expect(kept).toMatch(new RegExp(`\\b${name}\\b`))
  })
})

describe('the other parts are set up as with compose', () => {
  test('Grafana’s data sources, but for addresses and the password', () => {
    const changed = parse(ofFly('datasources.yml')) as { datasources: Record<string, unknown>[] }
    const plain = parse(read('observability/grafana/provisioning/datasources/datasources.yml'))
    const back = changed.datasources.map(({ url, basicAuth, basicAuthUser, secureJsonData, ...rest }) => ({
      url: String(url)
        .replace('127.0.0.1:9090', 'prometheus:9090')
        .replace('127.0.0.1:16686', 'jaeger:16686'),
      ...rest,
    }))
    expect({ ...changed, datasources: back }).toEqual(plain)
    expect(changed.datasources[0]).toMatchObject({
      basicAuth: true,
      basicAuthUser: 'admin',
      secureJsonData: { basicAuthPassword: '$PROMETHEUS_PASSWORD' },
    })
    expect(grafana).toMatch(/^only .*\bPROMETHEUS_PASSWORD\b/m)
  })

  test('Jaeger, but for addresses and folders', () => {
    const plainText = (text: string) =>
      text
        .replaceAll(/"?(?:127\.0\.0\.1|\[::\]|0\.0\.0\.0)(:\d+)?"?/g, 'HOST$1')
        .replaceAll(/(?:\$\{env:DATA\}\/jaeger|\/badger)/g, 'FOLDER')
        .replaceAll(/^#.*\n/gm, '')
    expect(plainText(ofFly('jaeger.yaml'))).toBe(plainText(read('observability/jaeger/config.yaml')))
    // Spans and its own metrics are nobody's business outside.
    expect(ofFly('jaeger.yaml')).toMatch(/grpc:\n {8}endpoint: 127\.0\.0\.1:4317/)
  })

  test('Prometheus, but for addresses and the collector', () => {
    const plain = parse(read('observability/prometheus/prometheus.yml'))
    const changed = parse(ofFly('prometheus.yml'))
    expect(changed.global).toEqual(plain.global)
    expect(changed.rule_files).toEqual(plain.rule_files)
    const jobs = (config: { scrape_configs: { job_name: string }[] }) =>
      config.scrape_configs.map(({ job_name: name }) => name)
    expect(jobs(changed)).toEqual(jobs(plain).filter((name) => name !== 'otel-collector'))
    const [gateway] = changed.scrape_configs
    expect(gateway.static_configs).toEqual([{ targets: [`127.0.0.1:${toml.metrics.port}`] }])
    expect(prometheus).toContain('--enable-feature=exemplar-storage')
  })
})

describe('the image', () => {
  const text = ofFly('Dockerfile')
  const instructions = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line !== '')

  test('its Dockerfile is well-formed', () => {
    expect(validate(text).map(({ message }) => message)).toEqual([])
  })

  test('has the versions of docker-compose.yml', () => {
    const compose = read('observability/docker-compose.yml')
    const images = instructions.flatMap((line) => /^FROM (\S+:\S+)/.exec(line)?.[1] ?? [])
    expect(images).toHaveLength(4)
    for (const image of images.filter((name) => !name.startsWith('node:')))
      expect(compose).toContain(image.replace('-ubuntu', ''))
    const [ours] = /^FROM node:\S+/m.exec(read('Dockerfile')) ?? []
    expect(text).toContain(ours)
  })

  test('builds the gateway as the other image does', () => {
    const stage = (dockerfile: string) =>
      /FROM node:\S+ AS build\n[\s\S]*?(?=\n\nFROM|\n\n#)/.exec(dockerfile)?.[0]
    expect(stage(text)).toBe(stage(read('Dockerfile')))
  })

  test('all that it copies is there, and let through', () => {
    const ignored = ofFly('.dockerignore')
    const sources = instructions
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(sources.length).toBeGreaterThan(6)
    for (const source of sources) {
      expect(existsSync(join(ROOT, source))).toBe(true)
      expect(ignored).toContain(`!${source}\n`)
    }
  })

  test('its scripts can be executed, and name files that it has', () => {
    const scripts = ['start', 'stop', 'doctor', 'grafana-password']
    for (const service of readdirSync(join(ROOT, 'observability/fly/services'))) {
      scripts.push(`services/${service}/run`)
      if (service === 'watchdog') continue
      scripts.push(`services/${service}/data/check`)
      expect(ofFly('services', service, 'notification-fd')).toBe('3\n')
      expect(ofFly('start')).toMatch(new RegExp(`SERVICES:-[a-z ]*\\b${service}\\b`))
    }
    for (const script of scripts) accessSync(join(ROOT, 'observability/fly', script), constants.X_OK)
    expect(text).toContain('"/opt/stack/start"')
  })
})

describe('the documents', () => {
  const documents = ['docs/fly.md', 'observability/README.md', 'README.md'] as const

  test.each(documents)('%s uses commands and flags that fly has', (document) => {
    const commands = [...read(document).matchAll(/(?:^|`)(fly(?:ctl)? [^`\n#]+)/gm)].map(([, command = '']) =>
      (command.match(/"[^"]*"|\S+/g) ?? []).slice(1),
    )
    expect(commands.flatMap(unknownIn)).toEqual([])
    if (document !== 'README.md') expect(commands.length).toBeGreaterThan(2)
  })

  test('docs/fly.md has every option and every secret of the script', () => {
    const script = read('observability/deploy-fly.sh')
    const options = [...script.matchAll(/^ {4}(--[a-z-]+)\)/gm)].map(([, option]) => option)
    expect(options.length).toBeGreaterThan(5)
    for (const option of options) expect(read('docs/fly.md')).toContain(`\`${option}`)
    const [, secrets = ''] = /^SECRETS='(.*)'$/m.exec(script) ?? []
    for (const secret of secrets.split(' ')) expect(read('docs/fly.md')).toContain(`| \`${secret}\` |`)
  })
})
