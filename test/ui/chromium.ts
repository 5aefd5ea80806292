/** Where a Chromium is. Without one there is nothing to test the console with, and its tests are skipped. */
import { existsSync } from 'node:fs'

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome']

export const chromiumPath = PLACES.find((place) => place !== undefined && existsSync(place))
export const hasChromium = chromiumPath !== undefined
