import { z } from 'zod'
import { durationMs } from '../core/schema.ts'

/** `config.backend`: connection defaults for every upstream. */
export const upstreamDefaultsSchema = z.strictObject({
  connectTimeout: durationMs.optional(),
  poolIdleTimeout: durationMs.optional(),
  /** Connections per origin; unlimited when absent. */
  poolMaxSize: z.int().positive().optional(),
  keepalives: z
    .strictObject({
      enabled: z.boolean().optional(),
      time: durationMs.optional(),
      interval: durationMs.optional(),
      retries: z.int().positive().optional(),
    })
    .optional(),
})
export type UpstreamDefaults = z.output<typeof upstreamDefaultsSchema>

/** `backendTLS`; `{}` means TLS with the system's roots. Paths are PEM files. */
export const backendTlsSchema = z.strictObject({
  cert: z.string().optional(),
  key: z.string().optional(),
  root: z.string().optional(),
  /** Name for SNI and verification instead of the host's. */
  hostname: z.string().optional(),
  /** No verification at all. */
  insecure: z.boolean().optional(),
  /** Verify the chain, not the name. */
  insecureHost: z.boolean().optional(),
})
export type BackendTls = z.output<typeof backendTlsSchema>
