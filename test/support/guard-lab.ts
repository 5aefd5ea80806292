/** Whom guards stand between: both vendors' clients, and services that judge what these say and hear. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { expect } from 'vitest'
import type { Script } from '../../src/demo/script.ts'
import { simulate } from './sdk-lab.ts'

export interface Clients {
  readonly openAI: OpenAI
  readonly anthropic: Anthropic
}

export function clientsAt(
  url: string,
  script: Script,
  headers: Readonly<Record<string, string>> = {},
): Clients {
  const more = { maxRetries: 0, defaultHeaders: { ...simulate(script), ...headers } }
  return {
    openAI: new OpenAI({ apiKey: 'k', baseURL: `${url}/v1`, ...more }),
    anthropic: new Anthropic({ apiKey: 'k', baseURL: url, ...more }),
  }
}

export const chatOf = (content: string) => ({
  model: 'gpt-4o-mini',
  messages: [{ role: 'user' as const, content }],
})
export const messageOf = (content: string) => ({
  ...chatOf(content),
  model: 'claude-haiku-4-5',
  max_tokens: 100,
})
const responseOf = (input: string) => ({ model: 'gpt-4o-mini', input })

export interface Heard {
  readonly text: string
  readonly input?: number | undefined
  readonly output?: number | undefined
  readonly arguments?: unknown
}

export type Ask = (clients: Clients, question: string) => Promise<Heard>

/** One question over each API. */
export const ASKS: Readonly<Record<string, Ask>> = {
  async 'a chat'({ openAI }, question) {
    const { choices, usage } = await openAI.chat.completions.create(chatOf(question))
    const [call] = choices[0]?.message.tool_calls ?? []
    return {
      text: choices[0]?.message.content ?? '',
      input: usage?.prompt_tokens,
      output: usage?.completion_tokens,
      arguments: call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined,
    }
  },
  async 'a streamed chat'({ openAI }, question) {
    const stream = openAI.chat.completions.stream({
      ...chatOf(question),
      stream_options: { include_usage: true },
    })
    const { choices, usage } = await stream.finalChatCompletion()
    const [call] = choices[0]?.message.tool_calls ?? []
    return {
      text: choices[0]?.message.content ?? '',
      input: usage?.prompt_tokens,
      output: usage?.completion_tokens,
      arguments: call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined,
    }
  },
  async 'a message'({ anthropic }, question) {
    return heardIn(await anthropic.messages.create(messageOf(question)))
  },
  async 'a streamed message'({ anthropic }, question) {
    const stream = anthropic.messages.stream(messageOf(question))
    return heardIn(await stream.finalMessage())
  },
  async 'a response'({ openAI }, question) {
    return heardOf(await openAI.responses.create(responseOf(question)))
  },
  async 'a streamed response'({ openAI }, question) {
    const stream = openAI.responses.stream(responseOf(question))
    let text = ''
    stream.on('response.output_text.delta', ({ delta }) => {
      text += delta
    })
    const response = await stream.finalResponse()
    expect(response.output_text).toBe(text)
    return heardOf(response)
  },
}

function heardIn({ content, usage }: Anthropic.Message): Heard {
  const call = content.find((block) => block.type === 'tool_use')
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    input: usage.input_tokens,
    output: usage.output_tokens,
    arguments: call?.input,
  }
}

function heardOf({ output, output_text, usage }: OpenAI.Responses.Response): Heard {
  const call = output.find((item) => item.type === 'function_call')
  return {
    text: output_text,
    input: usage?.input_tokens,
    output: usage?.output_tokens,
    arguments: call && JSON.parse(call.arguments),
  }
}

export interface Asked {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

export interface GuardService {
  readonly port: number
  readonly address: string
  readonly asked: readonly Asked[]
  /** Of those whose answer nobody waited for, how many. */
  readonly left: () => number
  /** Resolves once it is so. */
  readonly until: (isSo: () => boolean) => Promise<void>
  readonly close: () => void
}

/** `answer` may also never do so. */
export async function startGuardService(
  answer: (asked: Asked, response: ServerResponse) => void,
): Promise<GuardService> {
  const asked: Asked[] = []
  let left = 0
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const one of waiting.splice(0)) one()
  }
  const server = createServer(async (request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) left += 1
      wake()
    })
    const one = {
      path: request.url ?? '',
      headers: request.headers,
      body: JSON.parse(await text(request)) as unknown,
    }
    asked.push(one)
    wake()
    answer(one, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    address: `127.0.0.1:${port}`,
    asked,
    left: () => left,
    async until(isSo) {
      while (!isSo()) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
