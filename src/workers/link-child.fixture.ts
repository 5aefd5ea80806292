/** The other end in a process of its own: answers, and ends when it is asked for what takes long. */
import { channelOf, createLink, type Link } from './link.ts'

interface Questions {
  double(body: number): number
  later(body: string): string
  fail(body: { readonly code?: string }): never
  shape(body: unknown): unknown
}

const link: Link<Questions, { word: string }> = createLink(channelOf(process))
link.onAsk('double', (body) => body * 2)
link.onAsk('shape', (body) => body)
link.onAsk('fail', (given) => {
  throw Object.assign(new Error('no'), given)
})
link.onAsk('later', () => process.exit(0))
process.on('exit', () => {
  link.tell('word', 'farewell')
  link.flush()
})
