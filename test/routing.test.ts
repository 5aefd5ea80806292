/** Which route answers: the most specific one, whatever its place in the file. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toYaml } from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { type Ask, send } from './support/wire.ts'

const says = (body: string, matches: object[], more: object = {}) => ({
  ...more,
  matches,
  policies: { directResponse: { status: 200, body } },
})
const exactly = (name: string, exact: string) => ({ name, value: { exact } })

/** From the least to the most specific: an order that takes the first that fits would get all of them wrong. */
const ROUTES = [
  says('any', [{}]),
  says('any of one host', [{}], { hostnames: ['*.wild.example'] }),
  says('of that host', [{}], { hostnames: ['a.wild.example'] }),
  says('prefix', [{ path: { pathPrefix: '/v1' } }]),
  says('longer prefix', [{ path: { pathPrefix: '/v1/chat' } }]),
  says('prefix with a method', [{ path: { pathPrefix: '/v1/chat' }, method: 'POST' }]),
  says('prefix with a header', [{ path: { pathPrefix: '/v1/chat' }, headers: [exactly('x-team', 'a')] }]),
  says('prefix with two headers', [
    { path: { pathPrefix: '/v1/chat' }, headers: [exactly('x-team', 'a'), exactly('x-tier', 'b')] },
  ]),
  says('prefix with a query', [{ path: { pathPrefix: '/v1/chat' }, query: [exactly('beta', 'true')] }]),
  says('regex', [{ path: { regex: '/models/[0-9]+' } }], { hostnames: ['regex.example'] }),
  says('header by regex', [
    { path: { pathPrefix: '/regex' }, headers: [{ name: 'x-team', value: { regex: 'a+' } }] },
  ]),
  says('either', [{ path: { exact: '/left' } }, { path: { exact: '/right' } }]),
  says('exact', [{ path: { exact: '/v1/chat/completions' } }]),
]

let gateway: RunningGateway

beforeAll(async () => {
  gateway = await runGateway(
    toYaml({
      binds: [
        {
          port: 0,
          listeners: [
            { name: 'rest', routes: ROUTES },
            { name: 'own', hostname: 'own.example', routes: [says('own listener', [{}])] },
            { name: 'family', hostname: '*.family.example', routes: [says('family listener', [{}])] },
          ],
        },
      ],
    }),
  )
})

afterAll(() => gateway.close())

describe('it answers', () => {
  test.each<{ path: string; ask?: Ask; by: string }>([
    { path: '/', by: 'any' },
    { path: '/v1', by: 'prefix' },
    { path: '/v1/', by: 'prefix' },
    { path: '/v1x', by: 'any' },
    { path: '/V1', by: 'any' },
    { path: '/v1/chat', by: 'longer prefix' },
    { path: '/v1/chatter', by: 'prefix' },
    { path: '/v1/chat/completions', by: 'exact' },
    { path: '/v1/chat/completions?beta=true', by: 'exact' },
    { path: '/v1/chat/x', ask: { method: 'POST' }, by: 'prefix with a method' },
    { path: '/v1/chat/x', ask: { headers: { 'x-team': 'a' } }, by: 'prefix with a header' },
    { path: '/v1/chat/x', ask: { headers: { 'X-Team': 'a' } }, by: 'prefix with a header' },
    { path: '/v1/chat/x', ask: { headers: { 'x-team': 'b' } }, by: 'longer prefix' },
    { path: '/v1/chat/x', ask: { headers: { 'x-team': 'a', 'x-tier': 'b' } }, by: 'prefix with two headers' },
    { path: '/v1/chat/x?beta=true', by: 'prefix with a query' },
    { path: '/v1/chat/x?beta=false', by: 'longer prefix' },
    { path: '/models/42', ask: { headers: { host: 'regex.example' } }, by: 'regex' },
    { path: '/models/42x', ask: { headers: { host: 'regex.example' } }, by: 'any' },
    { path: '/regex', ask: { headers: { 'x-team': 'aaa' } }, by: 'header by regex' },
    { path: '/regex', ask: { headers: { 'x-team': 'aab' } }, by: 'any' },
    { path: '/left', by: 'either' },
    { path: '/right', by: 'either' },
    { path: '/', ask: { headers: { host: 'a.wild.example' } }, by: 'of that host' },
    { path: '/', ask: { headers: { host: 'b.wild.example:8080' } }, by: 'any of one host' },
    { path: '/v1', ask: { headers: { host: 'b.wild.example' } }, by: 'any of one host' },
    { path: '/', ask: { headers: { host: 'OWN.example' } }, by: 'own listener' },
    { path: '/v1/chat', ask: { headers: { host: 'x.family.example' } }, by: 'family listener' },
    { path: '/', ask: { headers: { host: 'family.example' } }, by: 'any' },
  ])('$path $ask by "$by"', async ({ path, ask, by }) => {
    expect(await send(`${gateway.url}${path}`, ask)).toMatchObject({ status: 200, body: by })
  })
})
