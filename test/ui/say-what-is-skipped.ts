import { hasChromium } from './chromium.ts'

export function setup(): void {
  if (hasChromium) return
  console.log(
    'Chromium: there is none at $CHROMIUM, /usr/bin/chromium or /usr/bin/google-chrome; the tests of the console will be skipped',
  )
}
