/** An upstream that answers with what it was asked; and with whatever `x-answer` (JSON) says beside. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

export interface Echoed {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

export interface Echo {
  readonly port: number
  readonly address: string
  readonly asked: readonly Echoed[]
  readonly close: () => void
}

const answerSchema = z.strictObject({
  status: z.int().default(200),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).default({}),
  /** Instead of the echo. */
  body: z.string().optional(),
})

const answerFor = (request: IncomingMessage) =>
  answerSchema.parse(JSON.parse(String(request.headers['x-answer'] ?? '{}')))

export async function startEcho(name: string): Promise<Echo> {
  const asked: Echoed[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '', rawHeaders } = request
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([key, value]) => [key, [value].flat().join(', ')]),
    )
    const echoed: Echoed = { name, method, path: url, headers, rawHeaders, body: await text(request) }
    asked.push(echoed)
    const answer = answerFor(request)
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
    response.end(answer.body ?? JSON.stringify(echoed))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    address: `127.0.0.1:${port}`,
    asked,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
