/**
 * The HTTP+SSE transport of 2024-11-05: a stream for all that goes to the client, POSTs for all that comes from it.
 * https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
import { randomUUID } from 'node:crypto'
import { handshake, identityOf, keep, newSession } from './begin-session.ts'
import { readBody } from './body.ts'
import { hear } from './hear.ts'
import { isRequest, RPC_ERRORS, type RpcRequest } from './json-rpc.ts'
import type { Performed } from './operation.ts'
import { perform } from './perform.ts'
import { Refusal } from './refusal.ts'
import { callContext, type Serving } from './request.ts'
import type { Session } from './session.ts'
import { checkVersion, ownSession } from './streamable-endpoint.ts'
import { UnderWay } from './under-way.ts'

/** Throws `Refusal`. */
export async function serveLegacy(serving: Serving): Promise<void> {
  const { method } = serving.request
  if (method === 'GET') openStream(serving)
  else if (method === 'POST') await post(serving)
  else
    throw new Refusal(405, RPC_ERRORS.invalidRequest, 'Method not allowed: use GET, POST', {
      headers: { allow: 'GET, POST' },
    })
}

function openStream(serving: Serving): void {
  const { port, path, facts } = serving.request
  const session = newSession(serving, randomUUID(), identityOf(undefined))
  session.isLegacy = true
  keep(serving, session)
  facts.sessionId = session.id
  session.standalone.attach(port.openEvents({}))
  session.standalone.announce('endpoint', `${path}?sessionId=${session.id}`)
  port.onClosed(() => {
    serving.deps.sessions.end(session).catch(serving.deps.unexpected)
  })
}

async function post(serving: Serving): Promise<void> {
  const { request, deps } = serving
  const { facts, port, holdRecord } = request
  const id = new URLSearchParams(request.query).get('sessionId')
  if (id === null)
    throw new Refusal(422, RPC_ERRORS.invalidRequest, 'Unprocessable: the query has no sessionId')
  const session = ownSession(serving, id, true)
  const { messages } = readBody(request.body)
  checkVersion(request.headers)
  const requests = messages.filter(isRequest)
  const context = callContext(serving, session, session.standalone, requests[0])
  port.reply(202, { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('Accepted'))
  hear(session, messages, serving.caller.headers, facts)
  session.begin(deps.now())
  const work = Promise.all(
    requests.map(async (one) => {
      const performed =
        one.method === 'initialize'
          ? await introduce(serving, session, one)
          : await perform(session, one, context, new UnderWay())
      if (performed.response !== undefined) session.standalone.send(performed.response)
    }),
  )
  holdRecord(work)
  await work
  session.end(deps.now())
}

async function introduce(serving: Serving, session: Session, message: RpcRequest): Promise<Performed> {
  session.introduce(identityOf(message))
  const performed = await handshake(serving, session, message, false)
  session.listen(serving.caller.headers)
  return performed
}
