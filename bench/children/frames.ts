/** The simulated provider's own answers, taken apart so that they can be sent again and again with marks in them. */
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import { MARK_LENGTH, markOf } from '../marks.ts'

export interface Answer {
  /** Status line and headers, without those that say where the body ends. */
  readonly head: string
}

export interface Whole extends Answer {
  readonly body: string
}

export interface Streamed extends Answer {
  /** Before the first chunk. */
  readonly opening: string
  /** Around a chunk's mark. */
  readonly before: string
  readonly after: string
  readonly closing: string
}

/** In whole answers. */
const ANSWER_TEXT_BYTES = 380

const JSON_TYPE = { 'content-type': 'application/json' }
const MESSAGES = [{ role: 'user', content: 'What is the capital of France?' }]
const CHAT = { model: 'gpt-4o-mini', messages: MESSAGES }
const CLAUDE = { model: 'claude-haiku-4-5', max_tokens: 1000, messages: MESSAGES }

export async function recordAnswers() {
  const openAI = await startSimulatedOpenAI()
  const anthropic = await startSimulatedAnthropic()
  const bearer = { authorization: 'Bearer sk-benchmark' }
  const key = { 'x-api-key': 'sk-benchmark', 'anthropic-version': '2023-06-01' }
  const chunk = { text: markOf(0, 0), chunks: 1 }
  const text = { textBytes: ANSWER_TEXT_BYTES }
  openAI.next(text)
  const chat = await ask(openAI, '/v1/chat/completions', bearer, CHAT)
  openAI.next(chunk)
  const withUsage = { ...CHAT, stream: true, stream_options: { include_usage: true } }
  const chatStream = await ask(openAI, '/v1/chat/completions', bearer, withUsage)
  anthropic.next(text)
  const messages = await ask(anthropic, '/v1/messages', key, CLAUDE)
  anthropic.next(chunk)
  const messagesStream = await ask(anthropic, '/v1/messages', key, { ...CLAUDE, stream: true })
  await Promise.all([openAI.close(), anthropic.close()])
  return {
    chat: { whole: chat, stream: takeApart(chatStream) },
    messages: { whole: messages, stream: takeApart(messagesStream) },
  }
}

async function ask(
  { url }: SimulatedProvider,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: object,
): Promise<Whole> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { ...JSON_TYPE, ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`the simulated provider answers ${response.status}: ${text}`)
  const OF_CONNECTION = /^(connection|keep-alive|transfer-encoding|content-length)$/
  const lines = [...response.headers]
    .filter(([name]) => !OF_CONNECTION.test(name))
    .map(([name, value]) => `${name}: ${value}\r\n`)
  return { head: `HTTP/1.1 200 OK\r\n${lines.join('')}`, body: text }
}

/** Of the events, the one with the mark is the chunk. */
function takeApart({ head, body }: Whole): Streamed {
  const at = body.indexOf(markOf(0, 0))
  const begins = body.lastIndexOf('\n\n', at) + 2
  const ends = body.indexOf('\n\n', at) + 2
  if (at < 0) throw new Error(`the simulated provider does not say what it was told to: ${body}`)
  return {
    head,
    opening: body.slice(0, begins),
    before: body.slice(begins, at),
    after: body.slice(at + MARK_LENGTH, ends),
    closing: body.slice(ends),
  }
}
