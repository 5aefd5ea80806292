/** Headers on their way through a proxy. https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */

/** Lower-case names; repeated headers are arrays. */
export type Headers = Record<string, string | string[] | undefined>

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

export const isHopByHop = (name: string): boolean => HOP_BY_HOP.has(name)

/** A copy without what concerns one connection only, headers named by `Connection` included. */
export function withoutHopByHop(headers: Readonly<Headers>): Headers {
  const copy: Headers = {}
  for (const name in headers) if (!HOP_BY_HOP.has(name)) copy[name] = headers[name]
  const { connection } = headers
  if (connection !== undefined && connection !== 'keep-alive' && connection !== 'close') {
    for (const name of String(connection).split(',')) delete copy[name.trim().toLowerCase()]
  }
  return copy
}
