/**
 * One question to the model through the gateway, with the times that the reader would have seen as a client.
 */
import type { LogEntry, LogsFound } from '../../../src/admin/api-types.ts'
import { gatewayPath, isAbort, messageOf, post, send } from '../api/client.ts'
import { readEvents } from '../api/sse.ts'
import { parseJson, prettyPrint } from '../format/json.ts'
import { gatewayHeaders } from '../session/client-key.ts'
import {
  CHAT_APIS,
  type ChatPiece,
  type ChatSettings,
  type ChatTurn,
  chatBody,
  mergeTokens,
  readAnswer,
  readPiece,
  type TokenCounts,
} from './wire.ts'

export interface Reply {
  readonly text: string
  readonly reasoning: string
  readonly isDone: boolean
  readonly wasStopped: boolean
  /** As the API gave it. */
  readonly error: string | undefined
  readonly status: number | undefined
  readonly tokens: TokenCounts | undefined
  readonly stopReason: string | undefined
  readonly firstTokenMs: number | undefined
  readonly totalMs: number | undefined
  readonly traceId: string | undefined
}

export const NO_REPLY: Reply = {
  text: '',
  reasoning: '',
  isDone: false,
  wasStopped: false,
  error: undefined,
  status: undefined,
  tokens: undefined,
  stopReason: undefined,
  firstTokenMs: undefined,
  totalMs: undefined,
  traceId: undefined,
}

interface AskOptions {
  readonly port: number
  readonly settings: ChatSettings
  readonly turns: readonly ChatTurn[]
  readonly signal: AbortSignal
  readonly onReply: (reply: Reply) => void
}

/** Never throws: what goes wrong is in the reply. */
export async function askModel({ port, settings, turns, signal, onReply }: AskOptions): Promise<Reply> {
  const startedAt = performance.now()
  const elapsed = () => performance.now() - startedAt
  let reply = NO_REPLY

  function add(piece: ChatPiece) {
    const isFirst = reply.firstTokenMs === undefined && (piece.text !== '' || piece.reasoning !== '')
    reply = {
      ...reply,
      text: reply.text + piece.text,
      reasoning: reply.reasoning + piece.reasoning,
      tokens: mergeTokens(reply.tokens, piece.tokens),
      stopReason: piece.stopReason ?? reply.stopReason,
      error: piece.error ?? reply.error,
      ...(isFirst && settings.isStreamed && { firstTokenMs: elapsed() }),
    }
    onReply(reply)
  }

  try {
    const path = CHAT_APIS.find(({ id }) => id === settings.api)?.path ?? ''
    const response = await send(gatewayPath(port, path), {
      method: 'POST',
      headers: {
        ...gatewayHeaders(),
        ...(settings.api === 'messages' && { 'anthropic-version': '2023-06-01' }),
      },
      body: JSON.stringify(chatBody(settings, turns)),
      signal,
    })
    reply = { ...reply, status: response.status, traceId: response.headers.get('x-trace-id') ?? undefined }
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
    if (isStream && response.body !== null) {
      for await (const { data } of readEvents(response.body)) {
        const piece = readPiece(settings.api, data)
        if (piece !== undefined) add(piece)
      }
    } else {
      const text = await response.text()
      if (response.ok) add(readAnswer(settings.api, parseJson(text)))
      else
        reply = {
          ...reply,
          error: text === '' ? `The gateway answered ${response.status}.` : prettyPrint(text),
        }
    }
  } catch (error) {
    reply =
      isAbort(error) || signal.aborted
        ? { ...reply, wasStopped: true }
        : { ...reply, error: messageOf(error) }
  }
  reply = { ...reply, isDone: true, totalMs: elapsed() }
  onReply(reply)
  return reply
}

const LOOK_AFTER_MS = [150, 350, 500, 800, 1200]

/** What the gateway recorded; it does so a moment after the answer. Undefined when it is not there within 3 s. */
export async function findRecord(traceId: string, signal: AbortSignal): Promise<LogEntry | undefined> {
  for (const waitMs of LOOK_AFTER_MS) {
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    if (signal.aborted) return undefined
    try {
      const found = await post<LogsFound>('/api/logs/search', { limit: 1, filters: { traceId } }, signal)
      if (found.logs[0] !== undefined) return found.logs[0]
    } catch {
      return undefined
    }
  }
  return undefined
}
