/**
 * What a worker says of a request that it passes on to the primary, in a header of its own.
 *
 * No client can say it: the worker leaves out what has the header's name, and the secret is new with each start.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { Origin } from '../listen/incoming.ts'

export const INTRODUCTION = 'x-agentgateway-introduction'

const schema = z.strictObject({
  secret: z.string(),
  /** `bind/3000` */
  bind: z.string(),
  /** Among those of the configuration: ports with number 0 have one name. */
  place: z.int(),
  clientAddress: z.string(),
  localAddress: z.string(),
  scheme: z.enum(['http', 'https']),
  httpVersion: z.string(),
  /** The header of that name, which is this connection's own. */
  connection: z.string().optional(),
})

export type Introduction = z.infer<typeof schema>

/** Takes it out of the request, whose headers then are the client's. Undefined when it is none of a worker's. */
export function readIntroduction(
  { headers }: IncomingMessage,
  secret: string,
): { readonly bind: string; readonly place: number; readonly origin: Origin } | undefined {
  const said = headers[INTRODUCTION]
  delete headers[INTRODUCTION]
  const introduction = typeof said === 'string' ? parse(said) : undefined
  if (introduction === undefined || !isSame(introduction.secret, secret)) return undefined
  const { bind, place, connection, clientAddress, localAddress, scheme, httpVersion } = introduction
  headers.connection = connection
  if (connection === undefined) delete headers.connection
  return { bind, place, origin: { clientAddress, localAddress, scheme, httpVersion } }
}

function parse(said: string): Introduction | undefined {
  try {
    return schema.parse(JSON.parse(said))
  } catch {
    return undefined
  }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
