/** Servers behind a pipe that break every rule: the client gets an answer, the gateway and other sessions go on. */
import { describe, expect, test } from 'vitest'
import { openSession, type Session } from './client.fixture.ts'
import { gatewayFor } from './stdio-lab.fixture.ts'

describe('a server that goes wrong in mid-session', () => {
  const expectGoingOn = async (session: Session) =>
    expect(await session.said('echo', { message: 'on' })).toBe('on')

  test.each([
    { tool: 'garbage', args: {}, said: 'after garbage' },
    { tool: 'half', args: {}, said: 'hälf' },
    { tool: 'twice', args: {}, said: 'first' },
    { tool: 'stranger', args: {}, said: 'own' },
  ])('it gets the answer out of $tool', async ({ tool, args, said }) => {
    const gateway = await gatewayFor('well')
    const session = await openSession(gateway.url)
    const answer = await session.call(tool, args)
    expect(answer.status).toBe(200)
    const answers = answer.messages.filter(({ id }) => id !== undefined)
    expect(answers).toHaveLength(1)
    expect(JSON.stringify(answers)).toContain(said)
    await expectGoingOn(session)
  })

  test('it gives back an answer of 20 MB, or says why not', async () => {
    const gateway = await gatewayFor('well')
    const session = await openSession(gateway.url)
    const answer = await session.call('huge', { bytes: 20_000_000 })
    expect(answer.messages).toHaveLength(1)
    await expectGoingOn(session)
  })

  test('it survives a line of 40 MB', async () => {
    const gateway = await gatewayFor('well', ', requestTimeout: 4s')
    const session = await openSession(gateway.url)
    const other = await openSession(gateway.url)
    const answer = await session.call('huge', { bytes: 40_000_000 })
    expect(answer.messages).toHaveLength(1)
    if (answer.messages[0]?.result !== undefined) expect(answer.body.length).toBeGreaterThan(40_000_000)
    // At once: this is no server that is silent.
    else expect(answer.messages[0]?.error?.message).not.toMatch(/time|did not answer/i)
    await expectGoingOn(other)
    const later = await session.call('echo', { message: 'on' })
    expect(JSON.stringify(later.messages)).not.toMatch(/did not answer/)
  })

  test.each([
    { name: 'null', value: null },
    { name: 'a number', value: 42 },
    { name: 'a text', value: 'done' },
    { name: 'an array', value: [1] },
    { name: 'true', value: true },
  ])('it answers a result that is $name with exactly one message', async ({ value }) => {
    const gateway = await gatewayFor('well', ', requestTimeout: 2s')
    const session = await openSession(gateway.url)
    const answer = await session.call('bare', { value })
    expect(answer.messages).toHaveLength(1)
    // At once: this is no server that is silent.
    expect(JSON.stringify(answer.messages)).not.toMatch(/time|did not answer/i)
    await expectGoingOn(session)
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  })

  test('it answers an error that is a number with a proper one', async () => {
    const gateway = await gatewayFor('well', ', requestTimeout: 1s')
    const session = await openSession(gateway.url)
    const answer = await session.call('numberError')
    expect(answer.messages).toHaveLength(1)
    expect(answer.messages[0]?.error).toMatchObject({ code: expect.any(Number), message: expect.any(String) })
    await expectGoingOn(session)
  })

  test('it answers all calls under way when the server ends, and only that session is hit', async () => {
    const gateway = await gatewayFor('well')
    const session = await openSession(gateway.url)
    const other = await openSession(gateway.url)
    const held = [1, 2, 3].map((key) => session.call('hold', { key: String(key) }, `h${key}`))
    await expect
      .poll(async () => (await session.said('report')).split('tools/call').length)
      .toBeGreaterThan(4)
    const exit = await session.call('exit', { code: 9 }, 'x')
    for (const answer of [exit, ...(await Promise.all(held))]) {
      expect(answer.messages).toHaveLength(1)
      expect(answer.messages[0]).toMatchObject({ error: { code: expect.any(Number) } })
    }
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
    await expectGoingOn(other)
    const later = await session.call('echo', { message: 'later' })
    expect(later.messages).toHaveLength(1)
    // Either the process is started again, or the client is told.
    expect(JSON.stringify(later.messages)).toMatch(/"later"|"error"/)
    const failed = gateway.records().filter((record) => record['mcp.error.type'] !== undefined)
    expect(failed.length).toBeGreaterThanOrEqual(4)
  })

  test('it answers a call that is never answered after requestTimeout, and tells the server', async () => {
    const gateway = await gatewayFor('well', ', requestTimeout: 300ms')
    const session = await openSession(gateway.url)
    const answer = await session.call('never')
    expect(answer.messages).toHaveLength(1)
    expect(answer.messages[0]).toMatchObject({ error: { code: expect.any(Number) } })
    await expect.poll(() => session.said('report')).toContain('cancelled')
    await expectGoingOn(session)
  })

  test('it drains 100 MB on stderr without keeping them', async () => {
    const gateway = await gatewayFor('well')
    const session = await openSession(gateway.url)
    const before = process.memoryUsage().rss
    expect(await session.said('stderr', { bytes: 100 * 1024 * 1024 })).toBe('stderr done')
    expect(gateway.log().length).toBeLessThan(10 * 1024 * 1024)
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
    await expectGoingOn(session)
  })

  test('it stands a flood of notifications on stdout', async () => {
    const gateway = await gatewayFor('well')
    const session = await openSession(gateway.url)
    const answer = await session.call('flood', { count: 20_000, bytes: 100 })
    const answers = answer.messages.filter(({ id }) => id !== undefined)
    expect(answers).toHaveLength(1)
    expect(JSON.stringify(answers)).toContain('flooded')
    await expectGoingOn(session)
  })

  test('it stands 5,000 questions at once', async () => {
    const gateway = await gatewayFor('well', ', requestTimeout: 3s')
    const session = await openSession(gateway.url)
    // The client answers none of them; whoever asks may be refused, but must not be left without a word for ever.
    const answer = await session.call('ask', { count: 5000 })
    const answers = answer.messages.filter((message) => message.method === undefined)
    expect(answers).toHaveLength(1)
    const questions = answer.messages.filter((message) => message.method === 'roots/list')
    expect(new Set(questions.map(({ id }) => id)).size).toBe(questions.length)
    await expectGoingOn(session)
    expect(await gateway.metric('agentgateway_requests_in_flight')).toBe(0)
  })
})
