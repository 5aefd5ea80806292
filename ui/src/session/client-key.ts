/**
 * The key that playground and tool runner send as a client's `Authorization`. It is kept as long as the tab is open.
 */
import { signal } from '@preact/signals'
import { GATEWAY_HEADERS } from '../api/client.ts'

const STORED = 'agentgateway.clientKey'

function stored(): string {
  try {
    return sessionStorage.getItem(STORED) ?? ''
  } catch {
    return ''
  }
}

export const clientKey = signal(stored())

export function keepClientKey(key: string): void {
  clientKey.value = key
  try {
    if (key === '') sessionStorage.removeItem(STORED)
    else sessionStorage.setItem(STORED, key)
  } catch {
    // Storage may be forbidden: the key then lasts as long as the page.
  }
}

/** Of a request through the gateway, whose `Authorization` the browser's own session must not use. */
export function gatewayHeaders(): Record<string, string> {
  const key = clientKey.value.trim()
  if (key === '') return { ...GATEWAY_HEADERS }
  const value = /^(?:bearer|basic) /i.test(key) ? key : `Bearer ${key}`
  return { ...GATEWAY_HEADERS, 'x-gateway-authorization': value }
}
