/**
 * Moments in the reader's own time zone; UTC goes into the tooltip beside them.
 */
const pad = (value: number, digits = 2) => String(value).padStart(digits, '0')

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const clock = (at: Date) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`
const day = (at: Date) => `${MONTHS[at.getMonth()]} ${at.getDate()}`

const isSameDay = (a: Date, b: Date) =>
  a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate()

/** `14:03:22.120` of today, `Nov 25 14:03:22` of this year, `2025-11-25 14:03:22` of an older one. */
export function formatTime(at: Date, now: Date): string {
  if (Number.isNaN(at.getTime())) return '–'
  if (isSameDay(at, now)) return `${clock(at)}.${pad(at.getMilliseconds(), 3)}`
  if (at.getFullYear() === now.getFullYear()) return `${day(at)} ${clock(at)}`
  return `${formatDate(at)} ${clock(at)}`
}

export function formatDateTime(at: Date): string {
  return Number.isNaN(at.getTime()) ? '–' : `${formatDate(at)} ${clock(at)}`
}

function formatDate(at: Date): string {
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
}

/** A chart's moment: as exact as its steps. */
export function formatStep(at: Date, stepMs: number): string {
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}`
  return stepMs < 60_000 ? `${day(at)} ${clock(at)}` : `${day(at)} ${time}`
}

/** `3 minutes ago` */
export function formatAgo(at: Date, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - at.getTime()) / 1000))
  if (seconds < 5) return 'just now'
  if (seconds < 90) return `${seconds} seconds ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} hours ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

export function utcTitle(at: Date): string {
  return Number.isNaN(at.getTime()) ? '' : `${at.toISOString()} (UTC)`
}

/** For `<input type="datetime-local">`, which knows no zone. */
export function toLocalInput(at: Date): string {
  return `${formatDate(at)}T${clock(at)}`
}
