/**
 * The static settings of a process: `config` and `frontendPolicies.http`, with defaults and with the environment
 * variables that overrule the file. Read once at start; a reload does not change them.
 */
import { z } from 'zod'
import { ConfigProblem } from '../core/config-problem.ts'
import {
  type Address,
  address,
  durationMs,
  type Secret,
  type WorkerThreads,
  workerThreads,
} from '../core/schema.ts'
import { levelFault } from './log-level.ts'
import { alternatives } from './problem.ts'
import type { Config } from './schema.ts'
import { isSecretKey } from './secret-keys.ts'

type Environment = Readonly<Record<string, string | undefined>>

const LOOKUP_FAMILIES = ['All', 'Auto', 'V4Preferred', 'V4Only', 'V6Only'] as const
const LOG_FORMATS = ['text', 'json'] as const

export interface Settings {
  readonly adminAddr: Address
  readonly statsAddr: Address
  readonly readinessAddr: Address
  readonly enableIpv6: boolean
  /** `Auto` is resolved: V4Preferred with IPv6, else V4Only. */
  readonly dnsLookupFamily: Exclude<(typeof LOOKUP_FAMILIES)[number], 'Auto'>
  /** When draining: how long requests under way may take at most. */
  readonly connectionTerminationDeadlineMs: number
  /** When draining: how long new requests are still accepted at least. */
  readonly connectionMinTerminationDeadlineMs: number
  /** Largest body that is held in memory, bytes. */
  readonly maxBufferSize: number
  readonly http1IdleTimeoutMs: number
  /** Directives as in RUST_LOG: `info,request=off`. */
  readonly logLevel: string
  readonly logFormat: (typeof LOG_FORMATS)[number]
  /** Lower-case. */
  readonly sensitiveHeaders: readonly string[]
  readonly upstream: UpstreamSettings
  readonly mcp: McpSettings
  readonly database: DatabaseSettings
  readonly adminToken: Secret | undefined
  /** Unless the command line says. */
  readonly workerThreads: WorkerThreads
}

interface DatabaseSettings {
  /** `off`: nothing is kept. Undefined: wherever the command keeps it. */
  readonly url: string | undefined
  readonly maxConnections: number
  readonly retentionMs: number
  /** Of the file; 0 = no limit. */
  readonly retentionBytes: number
}

interface McpSettings {
  /** Sessions that nobody used for so long are forgotten. */
  readonly sessionTtlMs: number
  readonly maxSessions: number
}

interface UpstreamSettings {
  readonly connectTimeoutMs: number
  readonly poolIdleTimeoutMs: number
  /** Connections per origin; undefined = unlimited. */
  readonly poolMaxSize: number | undefined
  readonly keepalives: {
    readonly enabled: boolean
    readonly timeMs: number
  }
}

const DEFAULTS = {
  adminAddr: { host: 'localhost', port: 15000 },
  statsAddr: { host: undefined, port: 15020 },
  readinessAddr: { host: undefined, port: 15021 },
  connectionTerminationDeadlineMs: 5000,
  /** Upstream's is 2 MiB, which a conversation with a few images exceeds. */
  maxBufferSize: 32 * 1024 * 1024,
  http1IdleTimeoutMs: 600_000,
  connectTimeoutMs: 10_000,
  poolIdleTimeoutMs: 90_000,
  keepaliveMs: 180_000,
  mcpSessionTtlMs: 1_800_000,
  mcpMaxSessions: 10_000,
  databaseConnections: 5,
  retentionMs: 30 * 86_400_000,
  retentionBytes: 2 * 1024 ** 3,
} as const

type Reading<T> = { readonly value: T } | { readonly problem: string }
type Reader<T> = (text: string) => Reading<T>

function withSchema<T>(schema: z.ZodType<T>): Reader<T> {
  return (text) => {
    const parsed = schema.safeParse(text)
    return parsed.success
      ? { value: parsed.data }
      : { problem: parsed.error.issues[0]?.message ?? 'not valid' }
  }
}

function oneOf<const T extends string>(words: readonly T[]): Reader<T> {
  return (text) => {
    const value = words.find((word) => word.toLowerCase() === text.toLowerCase())
    return value === undefined ? { problem: `expected ${alternatives(words)}` } : { value }
  }
}

const flag: Reader<boolean> = (text) => {
  if (/^(?:true|1)$/i.test(text)) return { value: true }
  if (/^(?:false|0)$/i.test(text)) return { value: false }
  return { problem: 'expected `true` or `false`' }
}

const seconds: Reader<number> = (text) =>
  /^\d{1,9}$/.test(text) ? { value: Number(text) } : { problem: 'expected a whole number of seconds' }

const levels: Reader<string> = (text) => {
  const problem = levelFault(text)
  return problem === undefined ? { value: text } : { problem }
}

const READERS = {
  ADMIN_ADDR: withSchema(address),
  STATS_ADDR: withSchema(address),
  READINESS_ADDR: withSchema(address),
  IPV6_ENABLED: flag,
  DNS_LOOKUP_FAMILY: oneOf(LOOKUP_FAMILIES),
  CONNECTION_TERMINATION_DEADLINE: withSchema(durationMs),
  CONNECTION_MIN_TERMINATION_DEADLINE: withSchema(durationMs),
  TERMINATION_GRACE_PERIOD_SECONDS: seconds,
  LOG_FORMAT: oneOf(LOG_FORMATS),
  RUST_LOG: levels,
  WORKER_THREADS: withSchema(workerThreads),
  ADMIN_TOKEN: withSchema(z.string().min(16, { error: 'expected at least 16 characters' })),
} as const

/** The variables that overrule the file. */
export const SETTING_VARIABLES = Object.keys(READERS)

function read<T>(reader: Reader<T>, text: string | undefined): Reading<T> | undefined {
  const trimmed = text?.trim()
  return trimmed === undefined || trimmed === '' ? undefined : reader(trimmed)
}

export interface EnvironmentFault {
  readonly variable: string
  readonly message: string
}

/** All variables with values that cannot be used. */
export function environmentFaults(environment: Environment): EnvironmentFault[] {
  return Object.entries<Reader<unknown>>(READERS).flatMap(([variable, reader]) => {
    const reading = read(reader, environment[variable])
    if (reading === undefined || 'value' in reading) return []
    const isSaid = reading.problem.includes('found ') || isSecretKey(variable)
    const found = isSaid ? '' : `, found "${environment[variable]}"`
    return [{ variable, message: reading.problem + found }]
  })
}

/** Kubernetes kills after n seconds: be done a little earlier. */
const withinGrace = (graceSeconds: number) =>
  Math.max(0, graceSeconds > 10 ? graceSeconds - 5 : graceSeconds - 1) * 1000

/** Throws ConfigProblem on a variable that `loadConfig` would have refused. */
export function settings(config: Config, environment: Environment): Settings {
  const [fault] = environmentFaults(environment)
  if (fault !== undefined) throw new ConfigProblem([], `${fault.variable}: ${fault.message}`)
  const from = <T>(reader: Reader<T>, variable: keyof typeof READERS): T | undefined => {
    const reading = read(reader, environment[variable])
    return reading !== undefined && 'value' in reading ? reading.value : undefined
  }

  const file = config.config ?? {}
  const http = config.frontendPolicies?.http
  const enableIpv6 = from(READERS.IPV6_ENABLED, 'IPV6_ENABLED') ?? file.enableIpv6 ?? true
  const family = from(READERS.DNS_LOOKUP_FAMILY, 'DNS_LOOKUP_FAMILY') ?? file.dns?.lookupFamily ?? 'Auto'
  const grace = from(READERS.TERMINATION_GRACE_PERIOD_SECONDS, 'TERMINATION_GRACE_PERIOD_SECONDS')
  const levelTexts = from(READERS.RUST_LOG, 'RUST_LOG') ?? file.logging?.level ?? 'info'

  return {
    adminAddr: from(READERS.ADMIN_ADDR, 'ADMIN_ADDR') ?? file.adminAddr ?? DEFAULTS.adminAddr,
    statsAddr: from(READERS.STATS_ADDR, 'STATS_ADDR') ?? file.statsAddr ?? DEFAULTS.statsAddr,
    readinessAddr:
      from(READERS.READINESS_ADDR, 'READINESS_ADDR') ?? file.readinessAddr ?? DEFAULTS.readinessAddr,
    enableIpv6,
    dnsLookupFamily: family !== 'Auto' ? family : enableIpv6 ? 'V4Preferred' : 'V4Only',
    connectionTerminationDeadlineMs:
      from(READERS.CONNECTION_TERMINATION_DEADLINE, 'CONNECTION_TERMINATION_DEADLINE') ??
      file.connectionTerminationDeadline ??
      (grace === undefined ? DEFAULTS.connectionTerminationDeadlineMs : withinGrace(grace)),
    connectionMinTerminationDeadlineMs:
      from(READERS.CONNECTION_MIN_TERMINATION_DEADLINE, 'CONNECTION_MIN_TERMINATION_DEADLINE') ??
      file.connectionMinTerminationDeadline ??
      0,
    maxBufferSize: http?.maxBufferSize ?? DEFAULTS.maxBufferSize,
    http1IdleTimeoutMs: http?.http1IdleTimeout ?? DEFAULTS.http1IdleTimeoutMs,
    logLevel: [levelTexts].flat().join(','),
    logFormat: from(READERS.LOG_FORMAT, 'LOG_FORMAT') ?? file.logging?.format ?? 'text',
    sensitiveHeaders: (file.sensitiveHeaders ?? []).map((name) => name.toLowerCase()),
    upstream: upstreamSettings(file.backend),
    mcp: {
      sessionTtlMs: file.mcp?.sessionTtl ?? DEFAULTS.mcpSessionTtlMs,
      maxSessions: file.mcp?.maxSessions ?? DEFAULTS.mcpMaxSessions,
    },
    database: {
      url: file.database?.url,
      maxConnections: file.database?.maxConnections ?? DEFAULTS.databaseConnections,
      retentionMs: file.database?.retention?.age ?? DEFAULTS.retentionMs,
      retentionBytes: file.database?.retention?.size ?? DEFAULTS.retentionBytes,
    },
    /** Upstream's is one for each processor. */
    workerThreads: from(READERS.WORKER_THREADS, 'WORKER_THREADS') ?? file.workerThreads ?? 1,
    adminToken: from(READERS.ADMIN_TOKEN, 'ADMIN_TOKEN') ?? file.adminToken,
  }
}

function upstreamSettings(backend: NonNullable<Config['config']>['backend'] = {}): UpstreamSettings {
  const keepalives = backend.keepalives ?? {}
  return {
    connectTimeoutMs: backend.connectTimeout ?? DEFAULTS.connectTimeoutMs,
    poolIdleTimeoutMs: backend.poolIdleTimeout ?? DEFAULTS.poolIdleTimeoutMs,
    poolMaxSize: backend.poolMaxSize,
    keepalives: {
      enabled: keepalives.enabled ?? true,
      timeMs: keepalives.time ?? DEFAULTS.keepaliveMs,
    },
  }
}
