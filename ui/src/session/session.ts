/**
 * Whether somebody must sign in first, and what the gateway says about itself: the two facts that every page needs.
 */
import { effect, signal } from '@preact/signals'
import type { Runtime, SessionState } from '../../../src/admin/api-types.ts'
import { get, messageOf, onSignedOut, onUnanswered, post, remove } from '../api/client.ts'

const POLL_MS = 15_000
/** While it does not answer. */
const RETRY_MS = 2000

export const session = signal<SessionState | undefined>(undefined)
export const runtime = signal<Runtime | undefined>(undefined)
/** Set while the gateway does not answer. */
export const unreachable = signal<string | undefined>(undefined)

onSignedOut(() => {
  session.value = { signedIn: false, tokenRequired: true }
})
onUnanswered((message) => {
  unreachable.value = message
})

export async function loadSession(): Promise<void> {
  session.value = await get<SessionState>('/api/session')
}

/** Throws what is wrong with the token. */
export async function signIn(token: string): Promise<void> {
  session.value = await post<SessionState>('/api/session', { token })
}

export async function signOut(): Promise<void> {
  await remove('/api/session')
  session.value = { signedIn: false, tokenRequired: true }
}

async function loadRuntime(): Promise<void> {
  try {
    runtime.value = await get<Runtime>('/api/runtime')
    unreachable.value = undefined
  } catch (error) {
    unreachable.value = messageOf(error)
  }
}

/** Looks again and again, until the answered function is called. */
export function watchRuntime(): () => void {
  const look = () => {
    if (!document.hidden) void loadRuntime()
  }
  let timer: ReturnType<typeof setInterval> | undefined
  const stop = effect(() => {
    clearInterval(timer)
    timer = setInterval(look, unreachable.value === undefined ? POLL_MS : RETRY_MS)
  })
  look()
  document.addEventListener('visibilitychange', look)
  return () => {
    stop()
    clearInterval(timer)
    document.removeEventListener('visibilitychange', look)
  }
}

/** False: there is nothing to be shown of the past. */
export function keepsRequests(): boolean {
  return runtime.value === undefined || runtime.value.store !== undefined
}

/** Where clients connect; 3000 until the gateway has said. */
export function gatewayOrigin(port: number): string {
  const bind = runtime.value?.ports.binds.find((one) => one.port === port)
  return `${bind?.tls ? 'https' : 'http'}://${location.hostname}:${port}`
}

/** Those that the admin port can pass requests on to: it speaks no TLS to itself. */
export function plainPorts(): readonly number[] {
  return runtime.value?.ports.binds.filter(({ tls }) => !tls).map(({ port }) => port) ?? []
}

export function firstPort(): number {
  return runtime.value?.ports.binds[0]?.port ?? 3000
}
