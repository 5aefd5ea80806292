import { expect, test } from 'vitest'
import { ApiError } from '../api/client.ts'
import { followLogs, type TailState } from './tail.ts'

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
const log = (id: string) => event('log', { entry: { id }, cursor: `2026-01-01T00:00:00Z|${id}` })

/** Each connection gives one text and ends; after the last one the reader goes away. */
async function follow(connections: readonly (string | Error)[]) {
  const controller = new AbortController()
  const asked: (string | undefined)[] = []
  const found: string[] = []
  const states: TailState[] = []
  const waits: number[] = []
  await followLogs({
    search: {},
    signal: controller.signal,
    onEntry: ({ id }) => found.push(id),
    onState: (state) => states.push(state),
    connect: async ({ cursor }) => {
      const next = connections[asked.length]
      asked.push(cursor)
      if (next instanceof Error) throw next
      return new Blob([next ?? '']).stream()
    },
    pause: async (ms) => {
      waits.push(ms)
      if (asked.length === connections.length) controller.abort()
    },
  })
  return {
    asked,
    found,
    waits,
    states: states.map((state) => ('problem' in state ? state.problem : state.kind)),
  }
}

test('goes on where the connection ended', async () => {
  const { asked, found } = await follow([log('1') + event('heartbeat', {}) + log('2'), log('3')])
  expect(found).toEqual(['1', '2', '3'])
  expect(asked).toEqual([undefined, '2026-01-01T00:00:00Z|2'])
})

test('waits longer each time, and from the beginning after something came', async () => {
  const down = new ApiError(0, 'gone')
  const { waits } = await follow([down, down, down, log('1'), down])
  expect(waits).toEqual([1000, 2000, 4000, 1000, 2000])
})

test('tells what is wrong', async () => {
  const { states } = await follow([
    event('error', { message: 'the disk is full' }),
    new ApiError(503, 'no store'),
  ])
  expect(states).toEqual(['connecting', 'live', 'the disk is full', 'connecting', 'no store'])
})

test('does not ask again what was refused', async () => {
  const { asked, states } = await follow([new ApiError(400, 'filters: unknown key'), ''])
  expect(asked).toHaveLength(1)
  expect(states.at(-1)).toBe('filters: unknown key')
})
