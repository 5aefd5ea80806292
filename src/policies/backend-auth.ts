/** The credential that the gateway itself presents to a backend; it replaces the client's. */
import { z } from 'zod'
import { headerName, headerValue, type Secret, secret } from '../core/schema.ts'

const keyLocation = z.strictObject({
  header: z.strictObject({ name: headerName, prefix: headerValue.optional() }),
})

export const backendAuthSchema = z.strictObject({
  key: z.union([secret, z.strictObject({ value: secret, location: keyLocation.optional() })]),
})
export type BackendAuthConfig = z.output<typeof backendAuthSchema>

export interface BackendAuth {
  /** Lower-case. */
  readonly header: string
  readonly value: string
  /** The bare key, for providers that want it elsewhere. */
  readonly key: string
  /** True when the configuration says where the key goes: then no provider moves it. */
  readonly explicit: boolean
}

export function backendAuth(config: BackendAuthConfig, read: (secret: Secret) => string): BackendAuth {
  const outer =
    typeof config.key === 'object' && 'value' in config.key
      ? config.key
      : { value: config.key, location: undefined }
  const key = read(outer.value)
  const header = outer.location?.header
  return {
    header: header?.name.toLowerCase() ?? 'authorization',
    value: header === undefined ? `Bearer ${key}` : `${header.prefix ?? ''}${key}`,
    key,
    explicit: header !== undefined,
  }
}
