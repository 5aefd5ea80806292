/** `/api/logs/…`: requests, found, followed and opened. */
import type { ServerResponse } from 'node:http'
import { StoreBusyError } from '../store/questions.ts'
import type { Follow, Followed, Store, StoredRequest } from '../store/types.ts'
import type { LogEntry, LogGot, LogsFound, TailLog } from './api-types.ts'
import { ApiError, json, readJson } from './http.ts'
import { type AttributesOf, cursorOf, cursorText, logEntry, withPayload } from './log-entry.ts'
import { filtersOf, getSchema, rangeOf, searchSchema } from './query.ts'
import type { Route } from './routes.ts'
import { type SpansOf, spansOfRequest } from './spans.ts'

export interface LogsSources {
  readonly store: () => Store
  readonly spansOf: SpansOf
  readonly attributesOf: AttributesOf
}

const DEFAULT_LIMIT = 100
const POLL_MS = 500
const HEARTBEAT_MS = 15_000

export function logsRoutes({ store, spansOf, attributesOf }: LogsSources): Route[] {
  const entryOf = (request: StoredRequest, withAttributes: boolean): LogEntry => ({
    ...logEntry(request),
    ...(withAttributes && { attributes: attributesOf(request) }),
  })

  return [
    {
      method: 'POST',
      path: '/api/logs/search',
      async handler(request, response, left) {
        const asked = await readJson(request, searchSchema)
        const { requests, next } = await store().search(
          {
            limit: asked.limit ?? DEFAULT_LIMIT,
            range: rangeOf(asked.timeRange),
            filters: filtersOf(asked.filters),
            ...(asked.cursor !== undefined && { before: cursorOf(asked.cursor) }),
          },
          left,
        )
        const found: LogsFound = {
          logs: requests.map((one) => entryOf(one, asked.includeAttributes === true)),
          nextCursor: next === undefined ? null : cursorText(next),
        }
        json(response, 200, found)
      },
    },
    {
      method: 'POST',
      path: '/api/logs/get',
      async handler(request, response, left) {
        const { id, includePayload } = await readJson(request, getSchema)
        const found = await store().get(id, left)
        const got: LogGot =
          found === undefined
            ? { log: null, spans: [] }
            : {
                log: withPayload(
                  entryOf(found.request, true),
                  includePayload === true ? found.payload : undefined,
                ),
                spans: spansOfRequest(found.request, spansOf),
              }
        json(response, 200, got)
      },
    },
    {
      method: 'POST',
      path: '/api/logs/tail',
      async handler(request, response, left) {
        const asked = await readJson(request, searchSchema)
        const filters = filtersOf(asked.filters)
        const range = rangeOf(asked.timeRange)
        const from = asked.cursor === undefined ? undefined : cursorOf(asked.cursor)
        const look = (after: Follow['after']) =>
          store().follow({ limit: asked.limit ?? DEFAULT_LIMIT, range, filters, after }, left)
        await tail(response, from, look, (one) => entryOf(one, asked.includeAttributes === true))
      },
    },
  ]
}

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** Until the client leaves. */
async function tail(
  response: ServerResponse,
  from: Follow['after'],
  look: (after: Follow['after']) => Promise<Followed>,
  entryOf: (request: StoredRequest) => LogEntry,
): Promise<void> {
  // What cannot be looked up at all is told before the stream begins.
  let found = await look(from)
  let quietSince = Date.now()
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.flushHeaders()
  while (!response.destroyed) {
    for (const request of found.requests) {
      const told: TailLog = { entry: entryOf(request), cursor: cursorText(request) }
      if (!response.write(event('log', told))) await written(response)
      quietSince = Date.now()
    }
    if (Date.now() - quietSince >= HEARTBEAT_MS) {
      response.write(event('heartbeat', {}))
      quietSince = Date.now()
    }
    if (!found.more) await pause(response, POLL_MS)
    if (response.destroyed) return
    try {
      found = await look(found.after)
    } catch (error) {
      // It is asked again soon enough.
      found = { ...found, requests: [], more: false }
      if (error instanceof StoreBusyError) continue
      const message = error instanceof ApiError || error instanceof Error ? error.message : String(error)
      response.end(event('error', { message }))
      return
    }
  }
}

function written(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

/** Ends early when the client leaves. */
function pause(response: ServerResponse, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      response.off('close', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    response.on('close', done)
  })
}
