/** What worker processes run: everything that a worker is told comes over its channel to the primary. */
import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { collectSeldom } from './garbage.ts'

enableCompileCache()
const { channelOf, createLink } = await import('../workers/link.ts')
const { createWorker } = await import('../workers/worker.ts')

const worker = createWorker({
  link: createLink(channelOf(process)),
  readText: (path) => readFileSync(path, 'utf8'),
})

const collectAsBefore = collectSeldom()

// Of a terminal, or for a whole process group: the primary says when it is time to end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('uncaughtException', worker.unexpected)
process.on('unhandledRejection', worker.unexpected)
process.on('exit', worker.reportNow)

await worker.ended
collectAsBefore()
process.exit(0)
