/**
 * A stream of chat completions, guarded. Each choice is one voice: what it says in one field is over when it goes on in
 * another, calls a tool, or ends, and what is held of it goes out before that.
 */
import type { EventGuard, Open } from './event-guard.ts'
import type { TextStream } from './text-stream.ts'
import { contentIn, type Edit, isObject, type Json } from './texts.ts'

interface Channel {
  readonly stream: TextStream
  /** A delta with just this text. */
  readonly delta: (text: string) => Json
}

interface Voice {
  readonly channels: Map<string, Channel>
  /** One as a rule; some servers say the same under two names. */
  speaking: readonly Channel[]
}

type Say = (text: string, key: string, make: () => Channel) => string

const TEXTS = ['reasoning_content', 'reasoning', 'content', 'refusal'] as const
const CALLS = [
  ['function', 'arguments', 'json'],
  ['custom', 'input', 'text'],
] as const

export function chatEvents(open: Open, edit: Edit): EventGuard {
  const content = contentIn(edit, 'messages')
  const voices = new Map<unknown, Voice>()
  /** The frame of later chunks: id, model, creation time. */
  let frame: Json = {}

  function voiceOf(index: unknown): Voice {
    const voice = voices.get(index) ?? { channels: new Map(), speaking: [] }
    voices.set(index, voice)
    return voice
  }

  const chunkOf = (index: unknown, delta: Json): Json => ({
    ...frame,
    choices: [{ index, delta, finish_reason: null }],
  })

  /** Those that spoke last are done, but for those that still do. */
  function silence(index: unknown, voice: Voice, still: readonly Channel[] = []): Json[] {
    const done = voice.speaking.filter((channel) => !still.includes(channel))
    voice.speaking = still
    return done.flatMap(({ stream, delta }) => {
      const rest = stream.advance('', true)
      return rest === '' ? [] : [chunkOf(index, delta(rest))]
    })
  }

  function channelOf(voice: Voice, key: string, make: () => Channel): Channel {
    const channel = voice.channels.get(key) ?? make()
    voice.channels.set(key, channel)
    return channel
  }

  /** What has to go out before the choice, and the choice; undefined when it was nothing but text that is held. */
  function choiceOf(choice: Json): { readonly before: readonly Json[]; readonly choice: Json | undefined } {
    // Some servers repeat all that was said so far beside each piece of it.
    const { message: _, ...rest } = choice
    const { index } = rest
    const voice = voiceOf(index)
    const said: Json = isObject(choice.delta) ? choice.delta : {}
    const hasEnded = typeof choice.finish_reason === 'string'
    const heard: Channel[] = []
    let isHeld = false

    const say: Say = (text, key, make) => {
      const channel = channelOf(voice, key, make)
      heard.push(channel)
      const released = channel.stream.advance(text, hasEnded)
      if (released === '') isHeld = true
      return released
    }

    const delta: Record<string, unknown> = { ...said }
    // Parts, as Mistral's models have them, are looked at one by one.
    if (Array.isArray(said.content)) delta.content = content(said.content)
    for (const key of TEXTS) {
      const text = said[key]
      if (typeof text !== 'string' || text === '') continue
      const released = say(text, key, () => ({
        stream: open('messages', 'text'),
        delta: (rest) => ({ [key]: rest }),
      }))
      if (released === '') delete delta[key]
      else delta[key] = released
    }
    if (Array.isArray(said.tool_calls)) {
      const calls = said.tool_calls.map((call) => callOf(call, say)).filter((call) => call !== undefined)
      if (calls.length > 0) delta.tool_calls = calls
      else delete delta.tool_calls
    }
    if (isObject(said.function_call)) delta.function_call = legacyCallOf(said.function_call, say)
    // Repeats the reasoning in pieces of other shapes.
    delete delta.reasoning_details
    const before = hasEnded || heard.length > 0 ? silence(index, voice, heard) : []
    const isSpent = isHeld && !hasEnded && Object.values(delta).every((value) => value === null)
    const guarded = { ...rest, delta, ...(choice.logprobs !== undefined && { logprobs: null }) }
    return { before, choice: isSpent ? undefined : guarded }
  }

  /** Undefined when there was nothing but arguments, and they are held. */
  function callOf(call: unknown, say: Say): unknown {
    if (!isObject(call)) return call
    const { index } = call
    for (const [place, field, kind] of CALLS) {
      const called = call[place]
      const text = isObject(called) ? called[field] : undefined
      if (!isObject(called) || typeof text !== 'string') continue
      const released = say(text, `${place} ${index}`, () => ({
        stream: open('toolInput', kind),
        delta: (rest) => ({ tool_calls: [{ index, [place]: { [field]: rest } }] }),
      }))
      return released === '' && call.id === undefined
        ? undefined
        : { ...call, [place]: { ...called, [field]: released } }
    }
    return call
  }

  function legacyCallOf(call: Json, say: Say): Json {
    if (typeof call.arguments !== 'string') return call
    const make = () => ({
      stream: open('toolInput', 'json'),
      delta: (rest: string) => ({ function_call: { arguments: rest } }),
    })
    return { ...call, arguments: say(call.arguments, 'function_call', make) }
  }

  function end(): Json[] {
    return [...voices].flatMap(([index, voice]) => silence(index, voice))
  }

  return {
    end,
    step(chunk) {
      if (!Array.isArray(chunk.choices)) return [...end(), chunk]
      const { usage, choices: _, ...rest } = chunk
      frame = rest
      const before: Json[] = []
      const choices: unknown[] = []
      for (const one of chunk.choices) {
        const guarded = isObject(one) ? choiceOf(one) : { before: [], choice: one }
        before.push(...guarded.before)
        if (guarded.choice !== undefined) choices.push(guarded.choice)
      }
      const isSpent = choices.length < chunk.choices.length && choices.length === 0
      const hasUsage = usage !== undefined && usage !== null
      return isSpent && !hasUsage ? before : [...before, { ...chunk, choices }]
    },
  }
}
