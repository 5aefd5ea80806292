/** Rewrites the path and the authority of the request to the upstream. Gateway API's HTTPURLRewriteFilter. */
import { z } from 'zod'
import type { Policy } from './policy.ts'

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

export function urlRewrite(config: z.output<typeof urlRewriteSchema>): Policy {
  const { authority, path } = config
  return {
    onRequest(head) {
      if (path !== undefined) {
        if ('full' in path) head.path = path.full
        else {
          const matched = (head.matchedPrefix ?? '/').replace(/\/$/, '')
          const rest = head.path.startsWith(matched) ? head.path.slice(matched.length) : head.path
          head.path =
            path.prefix.replace(/\/$/, '') + (rest.startsWith('/') || rest === '' ? rest : `/${rest}`)
          if (head.path === '') head.path = '/'
        }
      }
      if (authority === 'none') head.authority = head.exchange.host
      else if (typeof authority === 'object') {
        const [host = '', port] = head.exchange.host.split(/:(?=\d+$)/)
        if ('full' in authority) head.authority = authority.full
        else if ('host' in authority)
          head.authority = port === undefined ? authority.host : `${authority.host}:${port}`
        else head.authority = `${host}:${authority.port}`
      }
      return undefined
    },
  }
}
