/**
 * A moment: local in the text, UTC in the tooltip.
 */
import { formatAgo, formatDateTime, formatTime, utcTitle } from '../format/times.ts'

interface TimeProps {
  readonly at: string | number
  readonly as?: 'short' | 'full' | 'ago'
}

export function Time({ at, as = 'short' }: TimeProps) {
  const moment = new Date(at)
  const now = new Date()
  const shown = { short: formatTime, full: formatDateTime, ago: formatAgo }[as](moment, now)
  const title = as === 'ago' ? `${formatDateTime(moment)} · ${utcTitle(moment)}` : utcTitle(moment)
  return (
    <time dateTime={Number.isNaN(moment.getTime()) ? undefined : moment.toISOString()} title={title}>
      {shown}
    </time>
  )
}
