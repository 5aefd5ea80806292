/** What a browser sends in the name of another site does not reach the upstream. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gatewayWith } from './support/configuration.ts'
import { type Echo, startEcho } from './support/echo.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { send } from './support/wire.ts'

let upstream: Echo
let gateway: RunningGateway

beforeAll(async () => {
  upstream = await startEcho('upstream')
  const policies = {
    basicAuth: { htpasswd: 'ann:{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw=' },
    csrf: { additionalOrigins: ['https://app.example'] },
    requestHeaderModifier: { remove: ['origin', 'sec-fetch-site'] },
  }
  gateway = await runGateway(gatewayWith([{ policies, backends: [{ host: upstream.address }] }]))
})

afterAll(async () => {
  await gateway.close()
  upstream.close()
})

const ANN = { authorization: `Basic ${Buffer.from('ann:sha-pw').toString('base64')}` }
const crossing = (origin: string) => ({ origin, 'sec-fetch-site': 'cross-site' })

test.each([
  { name: 'a stranger', headers: crossing('https://evil.example'), status: 401 },
  {
    name: 'another site with what the browser knows',
    headers: { ...ANN, ...crossing('https://evil.example') },
    status: 403,
  },
  { name: 'a listed site', headers: { ...ANN, ...crossing('https://app.example') }, status: 200 },
  { name: 'a program', headers: ANN, status: 200 },
])('$name: $status', async ({ headers, status }) => {
  const asked = upstream.asked.length
  const answer = await send(gateway.url, { method: 'POST', headers, body: 'a=b' })
  expect(answer.status).toBe(status)
  if (status === 403) expect(answer.body).toBe('CSRF validation failed')
  expect(upstream.asked.length - asked).toBe(status === 200 ? 1 : 0)
})
