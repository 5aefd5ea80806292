import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { local } from './connection.ts'
import { openLoop } from './open-loop.ts'

type Answer = (index: number, response: ServerResponse) => void

/** Its port; `answer` is told how many requests came before. */
async function server(answer: Answer) {
  let count = 0
  const listening = createServer((request, response) => {
    request.resume()
    answer(count++, response)
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  onTestFinished(() => {
    listening.close()
    listening.closeAllConnections()
  })
  return (listening.address() as AddressInfo).port
}

const bytes = Buffer.from('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
const RATE = 100

test('a stall counts for all who were due meanwhile', async () => {
  // The lead-in has thirty. Of the fifty that count, these wait until the last of them has come, 190 ms after the first.
  const [first, last] = [40, 59]
  const held: ServerResponse[] = []
  const port = await server((index, response) => {
    if (index < first || index > last) response.end('fine')
    else held.push(response)
    if (index === last) for (const one of held) one.end('late')
  })
  const found = await openLoop(local(port), { rate: RATE, seconds: 0.5 }, () => ({ bytes }))
  expect(found).toMatchObject({ requests: 80, errors: 0 })
  expect(found.latencies.count()).toBe(50)
  expect(found.lags.count()).toBe(50)
  // A closed loop would have met the stall once.
  expect(found.latencies.percentileMs(1)).toBeGreaterThan(185)
  expect(found.latencies.percentileMs(0.82)).toBeGreaterThan(90)
})

test('failures are counted, and the loop goes on', async () => {
  const port = await server((index, response) => {
    if (index % 20 === 3) response.destroy()
    else response.writeHead(index % 20 === 5 ? 503 : 200).end('answered')
  })
  const found = await openLoop(local(port), { rate: 1000, seconds: 0.1 }, () => ({ bytes }))
  expect(found).toMatchObject({ requests: 400, errors: 40 })
})

test('too many failures end it', async () => {
  const port = await server((_, response) => response.destroy())
  await expect(openLoop(local(port), { rate: 1000, seconds: 0.1 }, () => ({ bytes }))).rejects.toThrow(
    'more than 100 requests failed',
  )
})
