/**
 * Protection against DNS rebinding: a page that a browser loaded from elsewhere has its own name point to this
 * machine, and talks to a gateway that only local programs were to reach. Its `Host` and `Origin` give it away.
 */
import { isIP } from 'node:net'

const hostnameOf = (authority: string) =>
  authority
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()

const isLoopbackName = (hostname: string) =>
  hostname === 'localhost' ||
  hostname.endsWith('.localhost') ||
  hostname === '::1' ||
  isLoopbackAddress(hostname)

/** 127.0.0.0/8 and ::1, also as an IPv4-mapped address. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

export interface Origins {
  readonly host: string
  readonly origin: string | undefined
  /** Hostnames that the configuration itself names. */
  readonly hostnames: readonly string[]
}

const isNamed = (hostname: string, hostnames: readonly string[]) =>
  hostnames.some((name) =>
    name.startsWith('*.') ? hostname.endsWith(name.slice(1).toLowerCase()) : hostname === name.toLowerCase(),
  )

/** Why the request is refused, or undefined. */
export function rebindingProblem({ host, origin, hostnames }: Origins): string | undefined {
  const isTrusted = (hostname: string) => isLoopbackName(hostname) || isNamed(hostname, hostnames)
  if (!isTrusted(hostnameOf(host))) return `Host ${host} is not a name of this machine`
  if (origin === undefined) return undefined
  const from = URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[|\]$/g, '') : undefined
  return from !== undefined && isTrusted(from) ? undefined : `Origin ${origin} is not allowed`
}
