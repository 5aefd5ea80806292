import { describe, expect, test } from 'vitest'
import { observeStream } from './observe.ts'
import { planOf } from './plan.fixture.ts'
import { ANTHROPIC_STREAM, CHAT_STREAM } from './recorded-streams.fixture.ts'
import { type CountTokens, countInput, settleStream, settleWhole } from './settle.ts'

/** A token is a character, so that sums can be checked by hand. */
const count: CountTokens = async (texts) => texts.map((text) => text.length)
const refuse: CountTokens = () => Promise.reject(new Error('nothing is to be counted'))

async function settled(format: 'completions' | 'messages', events: readonly unknown[], counter = count) {
  const plan = planOf(format, format, { stream: true })
  const observer = observeStream(format, plan.facts, () => 1)
  for (const event of events) event === '[DONE]' ? observer.done() : observer.event(event)
  await settleStream(plan, observer, counter)
  return plan.facts
}

const NOTHING = { cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 }
/** `user` and `hello`, three for the message, three for the answer. */
const INPUT = 4 + 5 + 3 + 3

describe('a stream', () => {
  test('it is what the provider said last, and nothing is counted', async () => {
    expect(await settled('completions', CHAT_STREAM, refuse)).toMatchObject({
      usageSource: 'provider',
      usage: { inputTokens: 9, outputTokens: 3, cacheReadTokens: 4, reasoningTokens: 1 },
    })
  })

  test('it is estimated where the provider says nothing', async () => {
    expect(await settled('completions', CHAT_STREAM.slice(0, 3))).toMatchObject({
      usageSource: 'estimated',
      usage: { ...NOTHING, inputTokens: INPUT, outputTokens: 'Hello!'.length },
    })
  })

  test('it is estimated when nothing came at all', async () => {
    expect(await settled('completions', [])).toMatchObject({
      usageSource: 'estimated',
      usage: { ...NOTHING, inputTokens: INPUT, outputTokens: 0 },
    })
  })

  test('it is partial after a cut: the reported input, and the output that passed', async () => {
    expect(await settled('messages', ANTHROPIC_STREAM.slice(0, 8))).toMatchObject({
      usageSource: 'partial',
      usage: { ...NOTHING, inputTokens: 482, cacheReadTokens: 10, outputTokens: 'Let me thinkOkay'.length },
    })
  })

  test('it is never less than what was reported', async () => {
    expect(await settled('messages', ANTHROPIC_STREAM.slice(0, 2))).toMatchObject({
      usageSource: 'partial',
      usage: { outputTokens: 3 },
    })
  })

  test('it counts text that was not kept at four characters a token', async () => {
    const piece = { choices: [{ index: 0, delta: { content: 'x'.repeat(300_000) } }] }
    const { usage } = await settled('completions', [piece, piece])
    expect(usage?.outputTokens).toBe(300_000 + 75_000)
  })
})

describe('a whole answer', () => {
  test('it is estimated where the provider reported nothing', async () => {
    const plan = planOf('completions', 'completions')
    await settleWhole(plan, 'Hello', count)
    expect(plan.facts).toMatchObject({
      usageSource: 'estimated',
      usage: { ...NOTHING, inputTokens: INPUT, outputTokens: 5 },
    })
  })

  test('it stays as the provider reported it', () => {
    const plan = planOf('completions', 'completions')
    const usage = { ...NOTHING, inputTokens: 1, outputTokens: 2 }
    plan.facts.usage = usage
    expect(settleWhole(plan, 'Hello', refuse)).toBeUndefined()
    expect(plan.facts.usage).toBe(usage)
  })
})

test('it counts the input of a messages request for a provider that cannot', async () => {
  const plan = planOf('messages', 'messages', { system: 'kind', tools: [{ name: 'f' }] })
  expect(await countInput(plan, count)).toBe(INPUT + 'kind'.length + '[{"name":"f"}]'.length)
})
