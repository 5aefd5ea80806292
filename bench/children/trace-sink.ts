/** A process of its own: a collector that takes every OTLP/gRPC export and forgets it. Prints its port. */
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'

const server = createServer()
server.on('session', (session) => session.on('error', () => {}))
server.on('stream', (stream) => {
  stream.on('error', () => {})
  stream.resume()
  stream.once('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    // An empty message behind its five-byte prefix.
    stream.end(Buffer.alloc(5))
  })
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
