/**
 * The path that a document's `servers` puts before every operation's.
 *
 * Only the path: where requests go is the configuration's business, or a document could send them anywhere.
 */
import { z } from 'zod'
import { hasDots } from './path-template.ts'
import { checked, OpenApiProblem, under } from './problem.ts'
import type { Spot } from './references.ts'

const serversSchema = z.array(
  z.object({
    url: z.string(),
    variables: z
      .record(z.string(), z.object({ default: z.union([z.string(), z.number(), z.boolean()]) }))
      .nullish(),
  }),
)

/** Without a slash at its end; empty when there are no servers. */
export function serverPrefix({ value, place }: Spot): string {
  if (value === undefined || value === null) return ''
  const [server, second] = checked(serversSchema, value, place)
  if (server === undefined) return ''
  if (second !== undefined)
    throw new OpenApiProblem(place, 'lists more than one server: keep the one whose path is to be used')
  const at = under(place, 0, 'url')
  const variables = new Map(Object.entries(server.variables ?? {}))
  const url = server.url.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = variables.get(name)
    if (variable === undefined)
      throw new OpenApiProblem(at, `\`{${name}}\` has no default: add it to \`variables\``)
    return String(variable.default)
  })
  const parsed = URL.parse(url, 'http://relative.invalid')
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new OpenApiProblem(at, `\`${url}\` is neither an http(s) URL nor a path such as /api/v1`)
  // The parser has resolved the plain ones.
  if (hasDots(parsed.pathname))
    throw new OpenApiProblem(at, `\`${url}\` has a segment of dots: write it without`)
  // Two slashes at the beginning of a path would be read as the name of a host.
  return parsed.pathname.replace(/^\/+/, '/').replace(/\/+$/, '')
}
