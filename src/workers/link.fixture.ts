/** Two ends of a link in one process, and what went over it. */
import { type Batch, type Channel, createLink, type Link } from './link.ts'

export function linkedPair<Q extends Record<keyof Q, (body: never) => unknown>, T>() {
  const sent: Batch[] = []
  const ends = [0, 1].map(() => ({ take: (_: Batch) => {}, close: () => {} }))
  const channel = (own: number): Channel => ({
    send(batch, done) {
      const copy = structuredClone(batch)
      sent.push(copy)
      setImmediate(() => {
        ends[1 - own]?.take(copy)
        done()
      })
    },
    onMessage: (take) => Object.assign(ends[own] ?? {}, { take }),
    onClosed: (close) => Object.assign(ends[own] ?? {}, { close }),
  })
  const one: Link<Q, T> = createLink(channel(0))
  const other: Link<Q, T> = createLink(channel(1))
  return { one, other, sent, close: () => ends.map(({ close }) => close()) }
}
