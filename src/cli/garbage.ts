/** How often V8 looks for garbage while requests are served. */
import { setFlagsFromString } from 'node:v8'

/** Percent of what is in use. */
const GARBAGE = 100

/**
 * From here on V8 marks what is in use when there may be as much garbage among what has lived for a while. Left to itself it does when
 * there may be a tenth: under load twice a second, and its helping threads take a tenth of the processor from the requests.
 *
 * Not from the start: what is kept of compiled code, of Node.js and of ours, is of use only under the very flags under which it
 * was compiled. Call what this returns before the process ends, for code is kept then.
 */
export function collectSeldom(): () => void {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE}`)
  return () => setFlagsFromString('--heap-growing-percent=0')
}
