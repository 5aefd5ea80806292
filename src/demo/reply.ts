/**
 * What the model "says": the part of an answer that does not depend on the API that carries it.
 *
 * Deterministic: the same request and script give the same reply, except for identifiers.
 */
import type { Usage } from '../core/usage.ts'
import { sampleOf } from './sample.ts'
import type { Script } from './script.ts'
import { firstTokens, textTokens, tokenTexts } from './tokens.ts'

/** What a request asks for, whatever the API. */
export interface Ask {
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly lastUserText: string
  /** The last turn brings results of tools: now the model speaks. */
  readonly answersTools: boolean
  readonly tools: readonly Tool[]
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly name: string }
  readonly parallelTools: boolean
  /** A JSON schema, `true` for any JSON object, undefined for prose. */
  readonly json: unknown
  readonly maxTokens: number | undefined
  readonly stopSequences: readonly string[]
  /** 0 when the model does not think first. */
  readonly reasoningTokens: number
}

export interface Tool {
  readonly name: string
  readonly schema: unknown
}

export interface Reply {
  /** Empty when nothing of it may be shown. */
  readonly reasoning: string
  readonly text: string
  readonly toolCalls: readonly { readonly name: string; readonly arguments: string }[]
  readonly finish: 'stop' | 'length' | 'tools' | 'sequence'
  readonly stopSequence: string | undefined
  readonly usage: Usage
}

/** What each effort is worth when no script says so. */
export const EFFORT_TOKENS: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 0,
  low: 64,
  medium: 256,
  high: 1024,
  xhigh: 2048,
  max: 4096,
}

export function composeReply(ask: Ask, script: Script): Reply {
  const toolCalls = toolCallsFor(ask, script)
  const reasoningTokens = script.reasoningTokens ?? reasoningTokensFor(ask, script)
  const reasoning =
    script.reasoning ?? (reasoningTokens > 0 ? thoughts(ask.lastUserText, reasoningTokens) : '')
  const wanted = toolCalls.length > 0 ? (script.text ?? '') : textFor(ask, script)
  const callTokens = toolCalls.reduce((sum, call) => sum + textTokens(call.name + call.arguments), 0)
  const room = ask.maxTokens === undefined ? Infinity : ask.maxTokens - reasoningTokens - callTokens
  const { text, finish, stopSequence } = cut(wanted, ask.stopSequences, room)
  const counted = Math.max(textTokens(text) + callTokens, 1) + reasoningTokens
  return {
    reasoning,
    text,
    toolCalls,
    finish: toolCalls.length > 0 && finish === 'stop' ? 'tools' : finish,
    stopSequence,
    usage: {
      inputTokens: script.inputTokens ?? ask.inputTokens,
      outputTokens: script.outputTokens ?? Math.min(counted, ask.maxTokens ?? Infinity),
      cacheReadTokens: script.cacheReadTokens ?? ask.cacheReadTokens,
      cacheWriteTokens: script.cacheWriteTokens ?? ask.cacheWriteTokens,
      reasoningTokens,
    },
  }
}

/** The text in pieces, as the deltas of a stream carry it: whole tokens, or at least never half a character. */
export function pieces(text: string, chunks: number | undefined): string[] {
  if (text === '') return []
  const tokens = tokenTexts(text)
  const units = tokens !== undefined && tokens.length >= (chunks ?? 0) ? tokens : Array.from(text)
  const count = Math.min(chunks ?? textTokens(text), units.length)
  const parts: string[] = []
  for (let part = 0; part < count; part++) {
    const from = Math.floor((units.length * part) / count)
    const to = Math.floor((units.length * (part + 1)) / count)
    parts.push(units.slice(from, to).join(''))
  }
  return parts
}

function reasoningTokensFor(ask: Ask, script: Script): number {
  const wanted = script.reasoning === undefined ? ask.reasoningTokens : textTokens(script.reasoning)
  return Math.min(wanted, ask.maxTokens ?? Infinity)
}

function toolCallsFor(ask: Ask, script: Script): Reply['toolCalls'] {
  if (script.toolCalls !== undefined) {
    return script.toolCalls.map((call) => ({
      ...call,
      arguments: sized(call.arguments, script.argumentBytes),
    }))
  }
  if (script.text !== undefined || script.textBytes !== undefined) return []
  const [first, second] = callableTools(ask)
  if (first === undefined) return []
  const both = ask.parallelTools && /\b(both|parallel)\b/i.test(ask.lastUserText)
  const called = both ? [first, second ?? first] : [first]
  return called.map((tool) => ({
    name: tool.name,
    arguments: sized(JSON.stringify(sampleOf(tool.schema)), script.argumentBytes),
  }))
}

function callableTools(ask: Ask): readonly Tool[] {
  const { toolChoice, tools } = ask
  if (toolChoice === 'none') return []
  if (typeof toolChoice === 'object') return tools.filter((tool) => tool.name === toolChoice.name)
  if (toolChoice === 'required') return tools
  return !ask.answersTools && /\b(weather|tools?)\b/i.test(ask.lastUserText) ? tools : []
}

function sized(json: string, bytes: number | undefined): string {
  if (bytes === undefined) return json
  const empty = JSON.stringify({ data: '' })
  return JSON.stringify({ data: 'x'.repeat(Math.max(bytes - empty.length, 0)) })
}

/** Characters of one to four bytes; none is several tokens, so that a stream of them can carry whole tokens. */
const WORDS =
  'the gateway sees each token that flows between a client and its model so cost latency and errors add up naïve café 数据 流 ✓ 😀 Zürich'.split(
    ' ',
  )

function textFor(ask: Ask, script: Script): string {
  if (script.text !== undefined) return script.text
  if (script.textBytes !== undefined)
    return 'All work and no play. '.repeat(script.textBytes / 22 + 1).slice(0, script.textBytes)
  if (script.chunks !== undefined) return prose(script.chunks, script.chunks)
  if (ask.json !== undefined)
    return JSON.stringify(ask.json === true ? { answer: 'Paris' } : sampleOf(ask.json))
  const seed = hash(ask.lastUserText)
  return `You asked: ${Array.from(ask.lastUserText).slice(0, 48).join('')}. ${prose(12 + (seed % 40), seed)}`
}

function thoughts(about: string, tokens: number): string {
  return `Thinking about ${Array.from(about).slice(0, 24).join('')}: ${prose(Math.min(tokens, 60), tokens)}`
}

/** `words` words, each with the space that follows it. */
function prose(words: number, seed: number): string {
  let text = ''
  for (let word = 0; word < words; word++) text += `${WORDS[(seed + word * 7) % WORDS.length]} `
  return text.trimEnd()
}

/** FNV-1a. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value >>> 0
}

function cut(text: string, stops: readonly string[], maxTokens: number) {
  let end = text.length
  let stopSequence: string | undefined
  for (const stop of stops) {
    const at = stop === '' ? -1 : text.indexOf(stop)
    if (at >= 0 && at < end) {
      end = at
      stopSequence = stop
    }
  }
  const kept = text.slice(0, end)
  if (textTokens(kept) <= maxTokens) {
    return { text: kept, finish: stopSequence === undefined ? 'stop' : 'sequence', stopSequence } as const
  }
  return { text: firstTokens(kept, maxTokens), finish: 'length', stopSequence: undefined } as const
}
