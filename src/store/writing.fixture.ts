/** A process that records without end, and says what it has recorded and when: to be killed. */
import { finished, httpExchange } from './exchanges.fixture.ts'
import { createStore } from './store.ts'

const store = await createStore({
  url: process.argv[2] ?? '',
  maxConnections: 1,
  retention: { ageMs: 1e12, bytes: 0 },
  onDropped: () => undefined,
  log: () => undefined,
})
let count = 0
setInterval(() => {
  const at = Date.now()
  store.record(finished(httpExchange({ completedAt: at, path: `/${count}` })))
  process.stdout.write(`${count} ${at}\n`)
  count += 1
}, 2)
