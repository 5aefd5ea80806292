/**
 * Ids of requests: the time of completion, then what tells requests apart, all in lower-case letters and digits of
 * one length, so that the order of ids is the order of completion and no gateway has to ask another for one.
 */
import { randomInt } from 'node:crypto'

const TIME_LENGTH = 9
const WRITER_LENGTH = 6
const COUNT_LENGTH = 5
const COUNTS = 36 ** COUNT_LENGTH
const LATEST = 36 ** TIME_LENGTH - 1

/** What all ids of a millisecond begin with; it stands before all of them. */
export function idFloor(milliseconds: number): string {
  const time = Math.min(LATEST, Math.max(0, Math.ceil(milliseconds)))
  return time.toString(36).padStart(TIME_LENGTH, '0')
}

export function createIds(): (completedAt: number) => string {
  const writer = randomInt(36 ** WRITER_LENGTH)
    .toString(36)
    .padStart(WRITER_LENGTH, '0')
  let count = 0
  return (completedAt) => {
    count = (count + 1) % COUNTS
    return idFloor(completedAt) + writer + count.toString(36).padStart(COUNT_LENGTH, '0')
  }
}
