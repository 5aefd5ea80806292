/** The tutorial's own configuration and request, against a simulated OpenAI. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'

let provider: SimulatedProvider
let gateway: RunningGateway

beforeAll(async () => {
  provider = await startSimulatedOpenAI()
  const tutorial = readFileSync(new URL('fixtures/tutorial.yaml', import.meta.url), 'utf8')
  const yaml = tutorial
    .replace('port: 3000', 'port: 0')
    .replace('name: openai', `name: openai\n                  hostOverride: 127.0.0.1:${provider.port}`)
  gateway = await runGateway(yaml)
})

afterAll(async () => {
  await gateway.close()
  await provider.close()
})

test('it answers the curl of the tutorial, counts it and writes one line', async () => {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello!' }] }),
  })
  expect(response.status).toBe(200)
  const answer = (await response.json()) as { usage: { prompt_tokens: number; completion_tokens: number } }
  const [record] = await gateway.recorded(1)
  const [billed] = provider.calls

  expect(answer.usage.prompt_tokens).toBe(billed?.inputTokens)
  expect(record).toMatchObject({
    backend: 'openai',
    outcome: 'completed',
    'http.status': 200,
    'gen_ai.usage.input_tokens': billed?.inputTokens,
    'gen_ai.usage.output_tokens': billed?.outputTokens,
    'trace.id': response.headers.get('x-trace-id'),
  })
  expect(
    await gateway.metric('agentgateway_requests_total', { status: '200', method: 'POST', backend: 'openai' }),
  ).toBe(1)
  expect(await gateway.metric('agentgateway_gen_ai_client_token_usage_sum', { token_type: 'input' })).toBe(
    billed?.inputTokens,
  )
  expect(await gateway.metric('agentgateway_gen_ai_client_token_usage_sum', { token_type: 'output' })).toBe(
    billed?.outputTokens,
  )
})
