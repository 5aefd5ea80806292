/**
 * The application log: what the gateway says about itself, in the same stream and format as the access log.
 *
 * Messages and fields pass through `redact`, because they quote errors, and errors quote what came from outside.
 */
import { ConfigProblem } from '../core/config-problem.ts'
import { redact } from '../core/redact.ts'
import { bareOrQuoted, jsonString, type LogFormat, timestamp } from './logger-text.ts'
import { LOG_LEVELS } from './schema.ts'

export type LogLevel = Exclude<(typeof LOG_LEVELS)[number], 'off'>
export type LogValue = string | number | boolean | undefined | Error
export type LogFields = Readonly<Record<string, LogValue>>

type Write = (scope: string, message: string, fields?: LogFields) => void

export interface Logger {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** Whether a line of this scope and level would be written; the access log's scope is `request`, at `info`. */
  readonly isEnabled: (scope: string, level: LogLevel) => boolean
  /** From now on; `undefined` restores what the process was started with. Throws `ConfigProblem`. */
  readonly setLevels: (levels: string | undefined) => void
}

export interface LoggerOptions {
  readonly levels: LogLevels
  readonly format: LogFormat
  /** Takes a whole line, newline included. */
  readonly write: (line: string) => void
  /** Epoch milliseconds. */
  readonly now?: () => number
}

/** Severities by scope; the scope `''` is the rest. */
export type LogLevels = ReadonlyMap<string, number>

const SEVERITY = new Map<string, number>(LOG_LEVELS.map((level, index) => [level, index]))
const DEFAULT_SEVERITY = SEVERITY.get('info') ?? 0
const LEVELS_PATH = ['config', 'logging', 'level'] as const

/** `info`, `info,request=off`, `warn,upstream=debug`: the longest scope that fits decides. */
export function parseLevels(text: string | readonly string[]): LogLevels {
  const levels = new Map<string, number>([['', DEFAULT_SEVERITY]])
  for (const directive of [text].flat().flatMap((part) => part.split(','))) {
    const [, scope = '', level = ''] = /^\s*(?:([^=]*)=)?\s*([^=]*?)\s*$/.exec(directive) ?? []
    if (scope === '' && level === '' && directive.trim() === '') continue
    const severity = SEVERITY.get(level.toLowerCase())
    if (severity === undefined) {
      throw new ConfigProblem(
        LEVELS_PATH,
        `${jsonString(directive)} is no level: expected one of ${LOG_LEVELS.join(', ')}, or scope=level`,
      )
    }
    levels.set(scope.trim(), severity)
  }
  return levels
}

/** A directive for `upstream` holds for `upstream.pool` and `upstream::pool` too. */
function severityOf(levels: LogLevels, scope: string): number {
  for (
    let end = scope.length;
    end > 0;
    end = Math.max(scope.lastIndexOf('.', end - 1), scope.lastIndexOf('::', end - 1))
  ) {
    const severity = levels.get(scope.slice(0, end))
    if (severity !== undefined) return severity
  }
  return levels.get('') ?? DEFAULT_SEVERITY
}

export function createLogger(options: LoggerOptions): Logger {
  const { write, format, now = Date.now } = options
  const compose = format === 'json' ? jsonLine : textLine
  let levels = options.levels

  const isEnabled = (scope: string, level: LogLevel) =>
    severityOf(levels, scope) <= (SEVERITY.get(level) ?? DEFAULT_SEVERITY)

  const at =
    (level: LogLevel): Write =>
    (scope, message, fields = {}) => {
      if (isEnabled(scope, level)) write(compose(timestamp(now()), level, scope, redact(message), fields))
    }

  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isEnabled,
    setLevels(text) {
      levels = text === undefined ? options.levels : parseLevels(text)
    },
  }
}

function textLine(time: string, level: LogLevel, scope: string, message: string, fields: LogFields): string {
  // The message is prose and stays unquoted, unless it could be taken for something else.
  const text = jsonString(message)
  let line = `${time}\t${level}\t${bareOrQuoted(scope)}\t${text.includes('\\') ? text : text.slice(1, -1)}`
  for (const key in fields) {
    const value = printable(key, fields[key])
    if (value !== undefined)
      line += ` ${bareOrQuoted(key)}=${typeof value === 'string' ? bareOrQuoted(value) : value}`
  }
  return `${line}\n`
}

function jsonLine(time: string, level: LogLevel, scope: string, message: string, fields: LogFields): string {
  let line = `{"level":"${level}","time":"${time}","scope":${jsonString(scope)},"message":${jsonString(message)}`
  for (const key in fields) {
    const value = printable(key, fields[key])
    if (value === undefined || RESERVED.has(key)) continue
    line += `,${jsonString(key)}:${typeof value === 'string' ? jsonString(value) : value}`
  }
  return `${line}}\n`
}

const RESERVED = new Set(['level', 'time', 'scope', 'message'])
const SECRET_KEY = /authorization|api[-_]?key|token$|secret|password|cookie/i

function printable(key: string, value: LogValue): string | number | boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (SECRET_KEY.test(key)) return '[redacted]'
  if (typeof value === 'string') return redact(value)
  return redact(describeError(value))
}

/** With its stack and its causes. */
function describeError(error: Error, depth = 0): string {
  const own = error.stack ?? `${error.name}: ${error.message}`
  if (!(error.cause instanceof Error) || depth === 3) return own
  return `${own}\ncaused by ${describeError(error.cause, depth + 1)}`
}
