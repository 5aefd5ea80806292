/** `node hanging-server.fixture.ts <file>`: a stdio server that says nothing and does not want to end. */
import { appendFileSync } from 'node:fs'

process.stdin.resume()
process.on('SIGTERM', () => {})
setInterval(() => {}, 1000)
appendFileSync(String(process.argv[2]), `${process.pid}\n`)
