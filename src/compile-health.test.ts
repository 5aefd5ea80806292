/** Which providers of groups share what is known of them. */
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { compile } from './compile.ts'
import { configSchema } from './config/schema.ts'
import { createLasting } from './lasting.ts'
import type { Health } from './upstream/health.ts'

type Input = z.input<typeof configSchema>
type RouteInput = NonNullable<NonNullable<Input['binds']>[number]['listeners'][number]['routes']>[number]

const provider = (name: string) => ({ name, provider: { openAI: {} } })
const group = (consecutiveFailures: number) => ({
  ai: {
    groups: [{ providers: [provider('a'), provider('b')] }],
    policies: { health: { eviction: { consecutiveFailures } } },
  },
})
const route = (pathPrefix: string, ...backends: NonNullable<RouteInput['backends']>): RouteInput => ({
  matches: [{ path: { pathPrefix } }],
  backends,
})
const named: Input = { backends: [{ name: 'pool', ...group(3) }] }

function createCompiler() {
  const lasting = createLasting()
  return (routes: RouteInput[], more: Input = {}): readonly Health[] => {
    const config: Input = { ...more, binds: [{ port: 3000, listeners: [{ routes }] }] }
    const { healths } = compile(
      configSchema.parse(config),
      () => {
        throw new Error('nothing is read here')
      },
      lasting,
    )
    lasting.healths.retain(healths)
    return healths
  }
}

/** After how many failures in a row it is evicted. */
function failuresOf(health: Health): number {
  let failures = 0
  while (health.isAvailable(0)) {
    health.fail(health.begin(0), 0)
    failures += 1
  }
  return failures
}

test.each<{ readonly name: string; readonly routes: RouteInput[]; readonly more?: Input }>([
  { name: 'of routes without names', routes: [route('/x', group(1)), route('/y', group(2))] },
  { name: 'of routes that are the same', routes: [route('/x', group(1)), route('/x', group(2))] },
  { name: 'of one route', routes: [route('/x', group(1), group(2))] },
  {
    name: 'of one top-level backend with policies of its own each time',
    routes: [1, 2].map((consecutiveFailures) =>
      route(`/${consecutiveFailures}`, {
        backend: 'pool',
        policies: { health: { eviction: { consecutiveFailures } } },
      }),
    ),
    more: { backends: [{ name: 'pool', ai: { groups: [{ providers: [provider('a'), provider('b')] }] } }] },
  },
])('two groups $name have nothing in common', ({ routes, more }) => {
  expect(createCompiler()(routes, more).map(failuresOf)).toEqual([1, 1, 2, 2])
})

test('a top-level backend is the same for all of its routes', () => {
  const healths = createCompiler()(
    [route('/x', { backend: 'pool' }), route('/y', { backend: 'pool' })],
    named,
  )
  expect(new Set(healths).size).toBe(2)
})

test('what is known stays over a reload that leaves the route as it was', () => {
  const compiled = createCompiler()
  const before = compiled([route('/x', group(1)), { name: 'y', ...route('/y', group(2)) }], named)
  const after = compiled(
    [
      route('/new', { backend: 'pool' }),
      { name: 'y', ...route('/elsewhere', group(2)) },
      route('/x', group(3)),
    ],
    named,
  )
  expect(after.slice(2)).toEqual([...before.slice(2), ...before.slice(0, 2)])
  for (const [index, health] of [...before.slice(2), ...before.slice(0, 2)].entries())
    expect(after[index + 2]).toBe(health)
})
