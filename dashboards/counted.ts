/**
 * How much a counter has counted within a window, exactly: what `increase` answers only approximately.
 *
 * `increase` starts at the first sample that Prometheus has of a series. Our series are born with their first event,
 * so the first request of every label set would be missing, which is most of the traffic of a quiet system. It also
 * extrapolates to the whole window: three requests would read 3.6 shortly after the start. The plain difference
 * `x - x offset 1h` is exact but negative after a restart, and forgets instances that are gone.
 */

/** Joined with the series by the two labels that every scrape adds. */
const STARTED = 'process_start_time_seconds'

/**
 * A vector to be aggregated as one would `increase(selector[window])`. `seconds` is the window again, as a number.
 *
 * Per series the first of these that there is:
 * 1. after a restart, `increase`, which adds up what was before and after (extrapolated: an estimate);
 * 2. the last value less the one at the window's start;
 * 3. the last value less the first within the window.
 * To that, as a series of its own so that a sum adds it, comes the first value of a series that was born within the
 * window. It was if its process was, or if the process was scraped already when the window began: otherwise
 * Prometheus is what is new, and the first value is history.
 */
function counted(selector: string, window: string, seconds: string | number): string {
  const last = `last_over_time(${selector}[${window}])`
  const first = `min_over_time(${selector}[${window}])`
  return `(
    (increase(${selector}[${window}]) and resets(${selector}[${window}]) > 0)
    or (${last} - ${selector} offset ${window})
    or (${last} - ${first})
    or label_replace(
      (${first} unless ${selector} offset ${window}) and on (job, instance) (
        ${STARTED} offset ${window} or last_over_time(${STARTED}[${window}]) > time() - ${seconds}
      ),
      "part", "first", "job", ".*"
    )
  )`
}

export const countedIn5Minutes = (selector: string) => counted(selector, '5m', 300)
export const countedInHour = (selector: string) => counted(selector, '1h', 3600)
/** Within the time range that the dashboard shows. */
export const countedInRange = (selector: string) => counted(selector, '$__range', '$__range_s')
