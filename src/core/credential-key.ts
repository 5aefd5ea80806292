/** Tells the credentials of clients apart, in what is kept and shown, without being one. */
import { hash } from 'node:crypto'
import type { Headers } from './headers.ts'

/** 32 bits: enough to tell keys apart, too few to find one by trying. Undefined where the request has none. */
export function credentialKey(headers: Readonly<Headers>): string | undefined {
  const { authorization } = headers
  const credential = authorization ?? headers['x-api-key'] ?? headers['api-key']
  return credential === undefined ? undefined : fingerprint(hash('sha256', secretIn(String(credential))))
}

/** The same for what tells requests apart in limits. */
export const keyHash = (key: string) => fingerprint(hash('sha256', key))

/** Of a credential's SHA-256, in hexadecimal. */
export const fingerprint = (hashed: string) => hashed.slice(0, 8)

/** The same key is the same however it is sent. */
const secretIn = (text: string) => text.replace(/^bearer\s+/i, '').trim()
