/** What policies share that ask who calls: how strict they are, and where the credential is. */
import { z } from 'zod'
import type { Headers } from '../core/headers.ts'
import { headerName, headerValue } from '../core/schema.ts'
import type { RequestHead } from './policy.ts'

/**
 * `strict`: no request without a valid credential. `optional`: a request may bring none, but no wrong one.
 * `permissive`: all pass.
 */
export const credentialMode = z.enum(['strict', 'optional', 'permissive']).default('strict')
type CredentialMode = z.output<typeof credentialMode>

export const credentialLocation = z.strictObject({
  header: z.strictObject({ name: headerName, prefix: headerValue.optional() }),
})
type CredentialLocation = z.output<typeof credentialLocation>

export interface Place {
  /** In lower case. */
  readonly header: string
  readonly prefix: string
}

export const placeOf = ({ header }: CredentialLocation): Place => ({
  header: header.name.toLowerCase(),
  prefix: header.prefix ?? '',
})

/** Undefined where the header is not there, or holds something of another scheme. */
export function credentialAt(headers: Headers, { header, prefix }: Place): string | undefined {
  const value = headers[header]
  if (typeof value !== 'string' || !value.toLowerCase().startsWith(prefix.toLowerCase())) return undefined
  return value.slice(prefix.length).trim()
}

/** `id` is that of nobody else in its `kind`. */
export function proven(head: RequestHead, kind: string, id: unknown): void {
  head.caller = JSON.stringify([head.caller, kind, id])
}

/** Whether a request passes that brought no valid credential. */
export const passesUnproven = (mode: CredentialMode, isPresent: boolean) =>
  mode === 'permissive' || (mode === 'optional' && !isPresent)
