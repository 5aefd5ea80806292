/** Rewrites the path and the authority of the request to the upstream. Gateway API's HTTPURLRewriteFilter. */
import { z } from 'zod'
import type { Policy, RequestHead } from './policy.ts'

export const urlRewriteSchema = z.strictObject({
  authority: z
    .union([
      z.enum(['auto', 'none']),
      z.strictObject({ full: z.string().min(1) }),
      z.strictObject({ host: z.string().min(1) }),
      z.strictObject({ port: z.int().min(1).max(65535) }),
    ])
    .optional(),
  path: z
    .union([
      z.strictObject({ full: z.string().startsWith('/') }),
      z.strictObject({ prefix: z.string().startsWith('/') }),
    ])
    .optional(),
})

type UrlRewriteConfig = z.output<typeof urlRewriteSchema>

export function changedPath(path: UrlRewriteConfig['path'], head: RequestHead): string {
  if (path === undefined) return head.path
  if ('full' in path) return path.full
  const matched = (head.matchedPrefix ?? '/').replace(/\/$/, '')
  const rest = head.path.startsWith(matched) ? head.path.slice(matched.length) : head.path
  const changed = path.prefix.replace(/\/$/, '') + (rest.startsWith('/') || rest === '' ? rest : `/${rest}`)
  return changed === '' ? '/' : changed
}

/** Undefined where nothing is said of it. */
export function changedAuthority(
  authority: UrlRewriteConfig['authority'],
  { exchange }: RequestHead,
): string | undefined {
  if (authority === 'none') return exchange.host
  if (typeof authority !== 'object') return undefined
  const [host = '', port] = exchange.host.split(/:(?=\d+$)/)
  if ('full' in authority) return authority.full
  if ('port' in authority) return `${host}:${authority.port}`
  return port === undefined ? authority.host : `${authority.host}:${port}`
}

export function urlRewrite({ authority, path }: UrlRewriteConfig): Policy {
  return {
    onRequest(head) {
      head.path = changedPath(path, head)
      head.authority = changedAuthority(authority, head) ?? head.authority
      return undefined
    },
  }
}
